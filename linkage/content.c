/* linkage/content.c — contents of records to vectors.
 *
 *   contents ─┬─ texts ────► encoder ──┐
 *             └─ data URIs ► vision ───┴► mean, of length 1
 *
 * As rows of files are fused (fused.c), so that a record has the vector in a
 * collection that its row has in a file. Where no content has a picture all
 * texts go to the encoder as they are. */
#include "linkage/content.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/dedup.h"
#include "linkage/picture.h"
#include "linkage/vectors.h"

#define SEPARATOR '\x1d'

/* ---- content ------------------------------------------------------------- */

bool linkd_is_data_uri(linkd_str text)
{
    return text.len >= 5 && memcmp(text.bytes, "data:", 5) == 0;
}

linkd_content linkd_content_split(linkd_str content)
{
    static const char mark[] = {SEPARATOR, 'd', 'a', 't', 'a', ':'};
    const char *at =
        content.len > 0 ? memmem(content.bytes, content.len, mark, sizeof(mark))
                        : NULL;
    size_t len = at != NULL ? (size_t)(at - content.bytes) : content.len;

    if (at == NULL)
        return (linkd_content){.text = content};
    return (linkd_content){.text = {content.bytes, len},
                           .picture = {at + 1, content.len - len - 1}};
}

int linkd_content_add_picture(lk_buf *content, linkd_str picture,
                              linkd_error *err)
{
    static const char separator = SEPARATOR;
    int rc = lk_buf_append(content, &separator, 1, err);

    LK_ASSERT(linkd_is_data_uri(picture));
    return rc == LINKD_OK
               ? lk_buf_append(content, picture.bytes, picture.len, err)
               : rc;
}

/* ---- what a model knows of it -------------------------------------------- */

static const linkd_image_options image_options = {.max_pixels =
                                                      LINKD_CONTENT_PIXELS_MAX};

/* Bounds the memory of threads that check pictures. */
static pthread_mutex_t check_lock = PTHREAD_MUTEX_INITIALIZER;

int linkd_picture_check(linkd_str picture, linkd_error *err)
{
    linkd_image image = {0};
    int rc;

    LK_ASSERT(linkd_is_data_uri(picture));
    (void)pthread_mutex_lock(&check_lock);
    rc = lk_picture_read("", picture, &image_options, &image, err);
    linkd_image_clear(&image);
    (void)pthread_mutex_unlock(&check_lock);
    return rc;
}

static bool text_is_known(const linkd_reader_model *model, linkd_str text)
{
    return model->encoder != NULL && text.len > 0 &&
           linkd_encoder_knows(model->encoder, text);
}

bool linkd_contents_knows(const linkd_reader_model *model, linkd_str content)
{
    linkd_content c = {.text = content};

    if (model->vision != NULL)
        c = linkd_content_split(content);
    return text_is_known(model, c.text) ||
           (c.picture.len > 0 &&
            linkd_picture_check(c.picture, NULL) == LINKD_OK);
}

/* ---- vectors ------------------------------------------------------------- */

/* Some contents and their parts. */
typedef struct parts {
    linkd_str *texts; /* [n_texts] */
    size_t *places;   /* [n_texts]: of their contents */
    size_t n_texts;
    linkd_str *pictures; /* [n]; empty: none */
    size_t n_pictures;
    float *of_texts;    /* [n_texts, dim] */
    float *of_pictures; /* [n, dim]; zeros: none, or none that can be used */
} parts;

static void parts_clear(parts *p)
{
    free(p->texts);
    free(p->places);
    free(p->pictures);
    free(p->of_texts);
    free(p->of_pictures);
}

static int parts_split(const linkd_reader_model *model,
                       const linkd_str *contents, size_t n, parts *p,
                       linkd_error *err)
{
    p->texts = calloc(n + 1, sizeof(*p->texts));
    p->places = calloc(n + 1, sizeof(*p->places));
    p->pictures = calloc(n + 1, sizeof(*p->pictures));
    if (p->texts == NULL || p->places == NULL || p->pictures == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        linkd_content c = linkd_content_split(contents[i]);

        p->pictures[i] = c.picture;
        p->n_pictures += c.picture.len > 0;
        if (model->encoder == NULL ||
            (c.picture.len > 0 && !text_is_known(model, c.text)))
            continue;
        p->texts[p->n_texts] = c.text;
        p->places[p->n_texts++] = i;
    }
    return LINKD_OK;
}

static int pictures_embed(const linkd_reader_model *model, const parts *p,
                          size_t n, size_t dim, linkd_error *err)
{
    linkd_image_problems problems = {0}; /* whoever put them was told */
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i += LINKD_IMAGES_MAX) {
        size_t n_chunk = n - i < LINKD_IMAGES_MAX ? n - i : LINKD_IMAGES_MAX;

        rc = linkd_embed_images(model->vision, model->pool, "", p->pictures + i,
                                n_chunk, i, &image_options,
                                p->of_pictures + i * dim, &problems, err);
    }
    lk_buf_clear(&problems.lines);
    return rc;
}

static int parts_embed(const linkd_reader_model *model, parts *p, size_t n,
                       size_t dim, linkd_encode_stats *stats, linkd_error *err)
{
    int rc = LINKD_OK;

    p->of_texts = lk_alloc_aligned(p->n_texts + 1, dim * sizeof(float));
    p->of_pictures = lk_alloc_aligned(n, dim * sizeof(float));
    if (p->of_texts == NULL || p->of_pictures == NULL)
        return lk_fail_nomem(err);
    if (p->n_texts > 0)
        rc = linkd_encoder_encode(model->encoder, model->pool, p->texts,
                                  p->n_texts, p->of_texts, stats, err);
    return rc == LINKD_OK ? pictures_embed(model, p, n, dim, err) : rc;
}

static void parts_join(const parts *p, size_t n, size_t dim, float *ret_vectors)
{
    size_t next = 0;

    for (size_t i = 0; i < n; i++) {
        float *vector = ret_vectors + i * dim;
        const float *text = NULL;

        if (next < p->n_texts && p->places[next] == i)
            text = p->of_texts + next++ * dim;
        if (!lk_vectors_fuse(text, p->of_pictures + i * dim, dim, vector)) {
            memset(vector, 0, dim * sizeof(*vector));
            vector[0] = 1.0F; /* of length 1 at least */
        }
    }
}

static bool has_pictures(const linkd_str *contents, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (linkd_content_split(contents[i]).picture.len > 0)
            return true;
    return false;
}

int linkd_contents_embed(const linkd_reader_model *model,
                         const linkd_str *contents, size_t n,
                         float *ret_vectors, linkd_encode_stats *stats,
                         linkd_error *err)
{
    parts p = {0};
    size_t dim;
    int rc;

    if (model->vision == NULL ||
        (model->encoder != NULL && !has_pictures(contents, n)))
        return linkd_encoder_encode(model->encoder, model->pool, contents, n,
                                    ret_vectors, stats, err);
    dim = linkd_vision_describe(model->vision)->dim;
    rc = parts_split(model, contents, n, &p, err);
    if (rc == LINKD_OK)
        rc = parts_embed(model, &p, n, dim, stats, err);
    if (rc == LINKD_OK)
        parts_join(&p, n, dim, ret_vectors);
    if (rc == LINKD_OK && stats != NULL)
        stats->n_texts += n - p.n_texts;
    parts_clear(&p);
    return rc;
}
