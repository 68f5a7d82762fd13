/* tests/encoder/tokenizer_kinds.h — tokenizers of every kind, of Hugging Face. */
#ifndef LINKD_TESTS_TOKENIZER_KINDS_H
#define LINKD_TESTS_TOKENIZER_KINDS_H

#define GOLDEN_DIR "tests/golden/tokenizer-kinds/"

/* The tokenizer.json of a kind; freed with free(). */
char *kind_read(const char *kind);

#endif
