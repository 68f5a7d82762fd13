/* What preprocessor_config.json may say, and how what it may not is refused.
 * That pictures come out as Pillow makes them is seen in test_image.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "encoder/image_prepare.h"

#define COLOURS "\"image_mean\":[0.5,0.4,0.3],\"image_std\":[0.5,0.25,0.2]"

static lk_preparation parse(const char *json)
{
    lk_preparation p = {0};
    linkd_error err;

    if (lk_preparation_parse(json, strlen(json), &p, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return p;
}

static void assert_refused(const char *json, const char *message)
{
    lk_preparation p;
    linkd_error err = {0};

    assert_int_equal(lk_preparation_parse(json, strlen(json), &p, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, message);
}

static void a_lone_size_is_a_square_or_clips_shorter_side(void **state)
{
    lk_preparation vit = parse("{\"size\":224,\"resample\":2," COLOURS "}");
    lk_preparation clip =
        parse("{\"feature_extractor_type\":\"CLIPFeatureExtractor\","
              "\"size\":224,\"crop_size\":200,\"resample\":3," COLOURS "}");

    (void)state;
    assert_int_equal(vit.shortest_edge, 0);
    assert_int_equal(vit.width, 224);
    assert_int_equal(vit.height, 224);
    assert_false(vit.crops);
    assert_int_equal(vit.out_width, 224);
    assert_int_equal(vit.filter, LK_FILTER_BILINEAR);
    assert_int_equal(clip.shortest_edge, 224);
    assert_true(clip.crops);
    assert_int_equal(clip.out_width, 200);
    assert_int_equal(clip.out_height, 200);
    assert_int_equal(clip.filter, LK_FILTER_BICUBIC);
}

static void objects_name_their_sides(void **state)
{
    lk_preparation p = parse(
        "{\"size\":{\"shortest_edge\":256},\"do_center_crop\":true,"
        "\"crop_size\":{\"height\":192,\"width\":224},\"resample\":1," COLOURS
        "}");

    (void)state;
    assert_int_equal(p.shortest_edge, 256);
    assert_int_equal(p.out_width, 224);
    assert_int_equal(p.out_height, 192);
    assert_int_equal(p.filter, LK_FILTER_LANCZOS);
}

static void bytes_become_numbers_as_asked_for(void **state)
{
    lk_preparation p = parse("{\"size\":8,\"resample\":2," COLOURS "}");
    lk_preparation raw = parse("{\"size\":8,\"resample\":2,\"do_rescale\":"
                               "false,\"do_normalize\":false}");
    lk_preparation half = parse("{\"size\":8,\"resample\":2,"
                                "\"rescale_factor\":0.5,\"do_normalize\":"
                                "false}");

    (void)state;
    assert_true(p.scales[1] == (float)(1.0 / 255.0 / 0.25));
    assert_true(p.shifts[1] == (float)(-0.4 / 0.25));
    assert_true(p.shifts[2] == (float)(-0.3 / 0.2));
    assert_true(raw.scales[0] == 1.0F);
    assert_true(raw.shifts[0] == 0.0F);
    assert_true(half.scales[2] == 0.5F);
}

#define NAME "preprocessor_config.json: "

static void what_is_not_supported_is_refused(void **state)
{
    (void)state;
    assert_refused("[]", NAME "is not a JSON object");
    assert_refused("{}", NAME "size has no side between 1 and 4096");
    assert_refused("{\"size\":{\"height\":8}}",
                   NAME "size has no side between 1 and 4096");
    assert_refused("{\"size\":5000}",
                   NAME "size has no side between 1 and 4096");
    assert_refused("{\"size\":8,\"resample\":0}",
                   NAME "resample is none of 1 (lanczos), 2 (bilinear) and 3 "
                        "(bicubic)");
    assert_refused("{\"size\":{\"shortest_edge\":8},\"resample\":3}",
                   NAME "leaves pictures of different sizes, which is not "
                        "supported");
    assert_refused("{\"do_resize\":false}",
                   NAME "leaves pictures of different sizes, which is not "
                        "supported");
    assert_refused("{\"size\":8,\"resample\":2,\"do_center_crop\":true}",
                   NAME "crop_size has no side between 1 and 4096");
    assert_refused("{\"size\":8,\"resample\":2,\"image_mean\":[1,2]}",
                   NAME "image_mean is not three numbers");
    assert_refused("{\"size\":8,\"resample\":2,\"image_mean\":[1,2,3],"
                   "\"image_std\":[1,2,\"3\"]}",
                   NAME "image_std is not three numbers");
    assert_refused("{\"size\":8,\"resample\":2,\"image_mean\":[1,2,3],"
                   "\"image_std\":[1,0,3]}",
                   NAME "rescale_factor or image_std is 0 or too small");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_size_is_a_square_or_clips_shorter_side),
        cmocka_unit_test(objects_name_their_sides),
        cmocka_unit_test(bytes_become_numbers_as_asked_for),
        cmocka_unit_test(what_is_not_supported_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
