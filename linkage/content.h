/* linkage/content.h — what a model reads of a record of a collection: its text,
 * its picture, or both. Part of linkage.h.
 *
 * The two travel as one string, the *content*, so that whatever keeps, hashes or
 * passes on a text does the same for pictures:
 *
 *   text                    a text alone, as it is
 *   text GS data-URI        text and picture; GS is U+001D
 *   GS data-URI             a picture alone
 *
 * A picture is always a data URI: contents name no files. It may end in
 * "#xywh=percent:X,Y,W,H", the part of the picture that is meant (W3C's Media
 * Fragments), in whole numbers. */
#ifndef LINKD_LINKAGE_CONTENT_H
#define LINKD_LINKAGE_CONTENT_H

#include "linkage/link.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct linkd_content {
    linkd_str text;
    linkd_str picture; /* a data URI; empty: none */
} linkd_content;

linkd_content linkd_content_split(linkd_str content);
bool linkd_is_data_uri(linkd_str text);
/* Appends a picture, which is a data URI, to a text, which may be empty. */
LINKD_MUST_CHECK int
linkd_content_add_picture(lk_buf *content, linkd_str picture, linkd_error *err);

/* A picture of 32 megapixels takes 96 MiB, while it is decoded up to 350: a
 * service decodes several at once. */
#define LINKD_CONTENT_PIXELS_MAX ((size_t)32 << 20)

/* Decodes a picture of a content, one at a time in the process. LINKD_E_DATA:
 * it cannot be used; the message leaves it to the caller to say whose it is.
 * LINKD_E_NOMEM. */
LINKD_MUST_CHECK int linkd_picture_check(linkd_str picture, linkd_error *err);

/* Of the file: in base64 it is four thirds of that, and a record's fields end at
 * LINKD_RECORD_MAX_BYTES. */
#define LINKD_CONTENT_PICTURE_MAX ((size_t)11 << 20)

/* Appends as a data URI what a cell says of a picture: a path, relative to the
 * directory of the file `table_path`, is kept as the URI's parameter "name"; a
 * data URI stays as it is. The picture is not decoded. LINKD_E_DATA, LINKD_E_IO:
 * it cannot be read, or is too large; the message leaves it to the caller to say
 * which. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int linkd_picture_uri(const char *table_path, linkd_str source,
                                       lk_buf *ret_uri, linkd_error *err);

/* What reads contents, all borrowed. With both the two have one space (CLIP). */
typedef struct linkd_reader_model {
    linkd_encoder *encoder;     /* NULL: reads no texts */
    const linkd_vision *vision; /* NULL: reads no pictures, and takes a content
                                   with one for a text */
    lk_pool *pool;
} linkd_reader_model;

/* Whether the vector of a content can say anything about it: it has a text that
 * the encoder knows, or a picture that can be used. Any thread. */
bool linkd_contents_knows(const linkd_reader_model *model, linkd_str content);

/* The vectors [n, dim] of contents, each depending on its content alone, of
 * length 1: the text's, the picture's, or the mean's of the two. A part that
 * nothing is known of does not count; a content without any other has a vector
 * that says nothing. As linkd_encoder_encode() otherwise. */
LINKD_MUST_CHECK int linkd_contents_embed(const linkd_reader_model *model,
                                          const linkd_str *contents, size_t n,
                                          float *ret_vectors,
                                          linkd_encode_stats *stats,
                                          linkd_error *err);

#ifdef __cplusplus
}
#endif
#endif
