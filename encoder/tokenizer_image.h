/* encoder/tokenizer_image.h — a tokenizer as bytes that need no parsing. */
#ifndef LK_ENCODER_TOKENIZER_IMAGE_H
#define LK_ENCODER_TOKENIZER_IMAGE_H

#include "encoder/tokenizer.h"

/* Appends a tokenizer that was read from its own files. In the processor's own
 * order of bytes. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_tokenizer_image_write(const lk_tokenizer *tokenizer,
                                              lk_buf *image, linkd_error *err);

/* Makes it anew, from hostile bytes, 8-byte aligned; borrows them. LINKD_E_DATA:
 * they are no image. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_tokenizer_image_read(linkd_str image,
                                             lk_tokenizer **ret_tokenizer,
                                             linkd_error *err);

#endif
