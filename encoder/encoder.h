/* encoder/encoder.h — texts and image files to unit vectors, by a transformer
 * read from a Hugging Face directory; image files to pixels and to hashes. Sees
 * neither index nor linkage: it trades in float [n, dim] and a fingerprint. */
#ifndef LINKD_ENCODER_H
#define LINKD_ENCODER_H

#include <stdbool.h>

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct linkd_encoder linkd_encoder;

/* What was read from the model directory. Strings live as long as the encoder.
 */
typedef struct linkd_encoder_info {
    const char *architecture; /* "bert", "roberta", … */
    const char *tokenizer;    /* "wordpiece", "unigram" or "bpe" */
    const char *pooling;      /* "mean", "cls", "last", "max" or "end" */
    const char *isa; /* "scalar", "avx2", "avx_vnni", "avx512", "avx512_bf16" or
                      * "avx512_vnni" */
    const char *precision; /* "f32", "bf16" or "int8": of the linear layers */
    /* 32 hex digits over weights, tokenizer, pooling, limit, prompts by use and
     * precision class (int8, or f32 and bf16): vectors are comparable exactly when these
     * are equal */
    const char *fingerprint;
    size_t dim;
    size_t n_layers;
    size_t n_parameters;
    size_t max_tokens;  /* [CLS] and [SEP] included; longer texts are cut */
    const char *prompt; /* put before every text, as the model's files say; ""
                         * is none */
} linkd_encoder_info;

/* What a text is for; some models want to be told, by a prompt before it. */
typedef enum linkd_use {
    LINKD_USE_ANY,
    LINKD_USE_QUERY,  /* it is looked for among records */
    LINKD_USE_RECORD, /* it is kept, or compared with its like */
    LINKD_N_USES,
} linkd_use;

/* Counts of one or more encode calls; a call adds to what is there. */
typedef struct linkd_encode_stats {
    uint64_t n_texts;
    uint64_t n_tokens;
    uint64_t n_truncated;    /* texts that were cut at max_tokens */
    uint64_t n_repeated;     /* texts that got the vector of an equal one */
    double tokenize_seconds; /* summed over workers */
} linkd_encode_stats;

/* Finds a model by name or path: a directory is taken as it is, a bare name is
 * looked up in $LINKD_MODELS, else $XDG_DATA_HOME/linkd/models, else
 * ~/.local/share/linkd/models. `ret_path` receives the directory.
 * LINKD_E_ARG: there is none, and the message says where it was looked for. */
LINKD_MUST_CHECK int linkd_encoder_find(const char *name, lk_buf *ret_path,
                                        linkd_error *err);

/* The model store's own directory, which need not exist. */
LINKD_MUST_CHECK int linkd_encoder_store_path(lk_buf *ret_path,
                                              linkd_error *err);

typedef struct linkd_inputs {
    bool texts;    /* linkd_encoder_open() */
    bool pictures; /* linkd_vision_open() */
} linkd_inputs;

/* Tells what the model in `dir` reads, one of both at least: by the model_type in
 * config.json, and of CLIP by which of its files are there. Nothing else is
 * checked. LINKD_E_IO, LINKD_E_DATA: config.json cannot be read. */
LINKD_MUST_CHECK int linkd_encoder_inputs(const char *dir,
                                          linkd_inputs *ret_inputs,
                                          linkd_error *err);

/* The files that the weights of the model in `dir` are spread over, by its
 * model.safetensors.index.json: their names, sorted, each ended by a zero byte.
 * None has to be there yet. LINKD_E_IO, LINKD_E_DATA: the index cannot be read,
 * or names a file elsewhere. */
LINKD_MUST_CHECK int linkd_encoder_shards(const char *dir, lk_buf *ret_names,
                                          linkd_error *err);

/* Reads config.json, model.safetensors, tokenizer.json or vocab.txt,
 * modules.json, 1_Pooling/config.json and sentence_bert_config.json, all of
 * them as hostile input. The kernels are the best that the processor has, or
 * the ones that LINKD_ISA (scalar, avx2, avx_vnni, avx512,
 * avx512_bf16, avx512_vnni) names.
 *   precision  "f32", "bf16", "int8" or "auto": bf16 where the processor has it,
 *              else f32; NULL: what LINKD_PRECISION says, else auto
 * What is made of the files is kept beside them, or in the user's cache, for the
 * next time, unless LINKD_PACKED is "off".
 * LINKD_E_IO: a file cannot be read. LINKD_E_DATA: it is damaged, or of a kind
 * that is not supported; the message names the file and the reason. Also: int8
 * would change the model's vectors too much (self_check.h).
 * LINKD_E_ARG: LINKD_ISA or the precision is unknown or not what this processor
 * has. */
LINKD_MUST_CHECK int linkd_encoder_open(const char *dir, const char *precision,
                                        linkd_encoder **ret_encoder,
                                        linkd_error *err);
void linkd_encoder_close(linkd_encoder *encoder);

const linkd_encoder_info *linkd_encoder_describe(const linkd_encoder *encoder);

/* The prompt that the model's files have for that use, such as "query"; NULL:
 * none of that name. Lives as long as the encoder. */
const char *linkd_encoder_find_prompt(const linkd_encoder *encoder,
                                      const char *name);

/* The prompt that the model's files have for that use, else their default; "" is
 * none. Lives as long as the encoder. */
const char *linkd_encoder_prompt_for(const linkd_encoder *encoder,
                                     linkd_use use);

/* Puts `prompt` before every text from now on, in place of the model's own; ""
 * is none. Not while another thread encodes. LINKD_E_DATA: the model would leave
 * a prompt's tokens out of the vector, which is not done here. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int linkd_encoder_set_prompt(linkd_encoder *encoder,
                                              const char *prompt,
                                              linkd_error *err);

/* Tells whether the vector of `text` can say anything about it: whether, as far
 * as it is read, a word of it is in the vocabulary. The vectors of all others
 * are made of "unknown" and look alike. Any thread. */
bool linkd_encoder_knows(const linkd_encoder *encoder, linkd_str text);

/* Counts the tokens that are read of `text`, [CLS] and [SEP] included. Any
 * thread. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int linkd_encoder_count_tokens(const linkd_encoder *encoder,
                                                linkd_str text, size_t *ret_n,
                                                linkd_error *err);

/* Encodes `n` UTF-8 texts.
 *   ret_vectors [n, dim] row-major, every row of length 1
 *   stats       may be NULL
 * A row depends on its text alone, bit for bit: not on the other texts, their
 * order or the number of workers, and in f32 not on the ISA tier. Uses every worker of `pool`;
 * one call at a time per encoder. LINKD_E_NOMEM is its only failure: invalid
 * UTF-8 is decoded with U+FFFD in place of each bad byte. */
LINKD_MUST_CHECK int linkd_encoder_encode(linkd_encoder *encoder, lk_pool *pool,
                                          const linkd_str *texts, size_t n,
                                          float *ret_vectors,
                                          linkd_encode_stats *stats,
                                          linkd_error *err);

/* ---- images ------------------------------------------------------------- */

/* Red, green and blue, a byte each: [height, width, 3], top row first. {0} is
 * none. */
typedef struct linkd_image {
    size_t width;
    size_t height;
    uint8_t *pixels;
} linkd_image;

#define LINKD_IMAGE_SIDE_MAX ((size_t)65535)

typedef struct linkd_image_options {
    size_t max_pixels; /* width times height, checked before decoding */
    bool orient;       /* turn it upright by what the camera noted (Exif) */
} linkd_image_options;

/* A picture of 64 megapixels takes 192 MiB, while it is decoded up to 700.
 * Models are trained on pictures as they lie in the file. */
#define LINKD_IMAGE_OPTIONS_INIT                                               \
 {                                                                             \
  .max_pixels = (size_t)64 << 20, .orient = false                              \
 }

/* Decodes a JPEG, PNG or WebP file of any bytes, to the pixels that Pillow's
 * convert("RGB") gives: bit for bit, if it stands on the same libraries.
 *   options    NULL: as initialised
 *   ret_image  cleared by the caller
 * Any thread. LINKD_E_DATA: it is of another kind, damaged, cut off or too
 * large; the message says which, and leaves it to the caller to say whose
 * picture it is. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int linkd_image_decode(linkd_str bytes,
                                        const linkd_image_options *options,
                                        linkd_image *ret_image,
                                        linkd_error *err);
void linkd_image_clear(linkd_image *image);

/* A perceptual hash: 64 bits of which few change when a picture is resized,
 * recompressed or slightly recoloured, and about half for another picture. The
 * bits are those of ImageHash's phash (its hexadecimal digits, first digit
 * highest). Any thread. LINKD_E_DATA: a picture of one colour has none.
 * LINKD_E_NOMEM. */
LINKD_MUST_CHECK int linkd_image_hash(const linkd_image *image,
                                      uint64_t *ret_hash, linkd_error *err);

/* ---- images to unit vectors ---------------------------------------------- */

/* An image transformer, read from a Hugging Face directory: ViT, DINOv2 and
 * CLIP, whose texts linkd_encoder encodes: the fingerprints of a directory's two
 * are equal, and their vectors may be compared. */
typedef struct linkd_vision linkd_vision;

/* Strings live as long as the model. */
typedef struct linkd_vision_info {
    const char *architecture; /* "vit", "dinov2" or "clip" */
    const char *isa;
    const char *precision;
    const char *fingerprint; /* as linkd_encoder_info: weights, preparation */
    size_t dim;
    size_t n_layers;
    size_t n_parameters;
    size_t width; /* of a prepared picture */
    size_t height;
} linkd_vision_info;

/* Reads config.json, preprocessor_config.json and model.safetensors, all of
 * them as hostile input; precision (but int8) and
 * kernels as linkd_encoder_open().
 *   n_workers  how many calls of linkd_vision_encode() may run at once
 * LINKD_E_IO, LINKD_E_DATA, LINKD_E_ARG as there. */
LINKD_MUST_CHECK int linkd_vision_open(const char *dir, const char *precision,
                                       size_t n_workers,
                                       linkd_vision **ret_vision,
                                       linkd_error *err);
void linkd_vision_close(linkd_vision *vision);

/* From now on each layer makes up to n_tokens rows a part of the row that is most
 * like them, which is faster and changes vectors and fingerprint (Bolya et al. 2023,
 * "Token Merging"). 0 changes nothing. Once, before anything is encoded.
 * LINKD_E_ARG: the model is neither a ViT nor a DINOv2. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int linkd_vision_merge_tokens(linkd_vision *vision,
                                               size_t n_tokens,
                                               linkd_error *err);

const linkd_vision_info *linkd_vision_describe(const linkd_vision *vision);

/* Resizes and crops a picture as the model asks for, and encodes it: the class
 * token's vector.
 *   worker      below n_workers; one call at a time for each
 *   ret_vector  [dim], of length 1
 * The vector depends on the picture alone, in f32 not on the ISA tier either.
 * LINKD_E_NOMEM is its only failure. */
LINKD_MUST_CHECK int linkd_vision_encode(const linkd_vision *vision,
                                         size_t worker,
                                         const linkd_image *image,
                                         float *ret_vector, linkd_error *err);

#ifdef __cplusplus
}
#endif
#endif
