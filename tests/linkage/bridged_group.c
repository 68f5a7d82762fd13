/* tests/linkage/bridged_group.c — see bridged_group.h. */
#include "tests/linkage/bridged_group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"

bridged *made;
fitted fits;

int bridged_group_enter(void **state)
{
    (void)state;
    made = bridged_make(0.6, 0.1);
    fits = fitted_make(made);
    return 0;
}

int bridged_group_leave(void **state)
{
    (void)state;
    fitted_clear(&fits);
    bridged_free(made);
    return 0;
}

int bridged_enter(void **state)
{
    int rc = scratch_store_enter(state);

    firms_make(made);
    return rc;
}

int open_rc(linkd_bridges **ret_bridges)
{
    linkd_view *view = firms_view();
    int rc = linkd_bridges_open(view, ret_bridges, &err);

    linkd_view_close(view);
    return rc;
}

uint64_t key_get(void)
{
    linkd_view *view = firms_view();
    uint64_t key = 0;

    assert_int_equal(linkd_bridges_key(view, &key, &err), LINKD_OK);
    linkd_view_close(view);
    return key;
}

linkd_bridge ranked_there(void)
{
    linkd_bridge bridge = fits.there;
    const linkd_whitening options = {0.3, 0.5};

    assert_int_equal(linkd_compat_fit_whitened(
                         &(linkd_rows){made->new_anchors, N_ANCHORS, NEW_DIM},
                         &(linkd_rows){made->old_anchors, N_ANCHORS, OLD_DIM},
                         &(linkd_rows){made->old_anchors, N_ANCHORS, OLD_DIM},
                         &options, &bridge.ranking.maps, &err),
                     LINKD_OK);
    bridge.ranking.weight = 0.4F;
    return bridge;
}

blobs scales_blobs(const linkd_bridge *there)
{
    blobs b = blobs_make(made, &fits);
    lk_buf *bytes = &b.bytes[BLOB_THERE_SCALES];

    lk_buf_reset(bytes);
    assert_int_equal(linkd_scales_encode(there, bytes, &err), LINKD_OK);
    return b;
}

bool leads(const linkd_bridges *bridges, uint32_t from, uint32_t to,
           const char *message)
{
    const linkd_bridge *bridge = NULL;
    int rc = linkd_bridges_need(bridges, from, to, &bridge, &err);

    if (rc == LINKD_OK) {
        assert_non_null(bridge);
        return true;
    }
    assert_int_equal(rc, LINKD_E_DATA);
    if (strstr(err.message, message) == NULL)
        fail_msg("%s", err.message);
    return false;
}
