/* tests/support/make_tiny_model.c — a transformer of 20 kB for tests.
 *
 * usage: make_tiny_model DIR [SEED]
 *
 * Writes config.json, vocab.txt and model.safetensors of a BERT with one layer
 * and random weights, by the seed. Its vocabulary is single characters, so
 * texts that are spelled alike have vectors that are alike: enough to test
 * programs by, and nothing to find anything out with. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    DIM = 32,
    WIDE = 64,
    HEADS = 2,
    POSITIONS = 64,
    TYPES = 2,
    SPECIALS = 5,
    CHARACTERS = 36 + 10,
    VOCABULARY = SPECIALS + 2 * CHARACTERS,
};

typedef struct tensor {
    const char *name;
    int rows; /* 0: a vector */
    int columns;
    float spread; /* uniform in ± this; 0: all ones; below 0: all zeros */
} tensor;

#define LAYER "encoder.layer.0."

static const tensor tensors[] = {
    {"embeddings.word_embeddings.weight", VOCABULARY, DIM, 1.0F},
    {"embeddings.position_embeddings.weight", POSITIONS, DIM, 0.05F},
    {"embeddings.token_type_embeddings.weight", TYPES, DIM, 0.05F},
    {"embeddings.LayerNorm.weight", 0, DIM, 0},
    {"embeddings.LayerNorm.bias", 0, DIM, -1},
    {LAYER "attention.self.query.weight", DIM, DIM, 0.1F},
    {LAYER "attention.self.query.bias", 0, DIM, -1},
    {LAYER "attention.self.key.weight", DIM, DIM, 0.1F},
    {LAYER "attention.self.key.bias", 0, DIM, -1},
    {LAYER "attention.self.value.weight", DIM, DIM, 0.1F},
    {LAYER "attention.self.value.bias", 0, DIM, -1},
    {LAYER "attention.output.dense.weight", DIM, DIM, 0.1F},
    {LAYER "attention.output.dense.bias", 0, DIM, -1},
    {LAYER "attention.output.LayerNorm.weight", 0, DIM, 0},
    {LAYER "attention.output.LayerNorm.bias", 0, DIM, -1},
    {LAYER "intermediate.dense.weight", WIDE, DIM, 0.1F},
    {LAYER "intermediate.dense.bias", 0, WIDE, -1},
    {LAYER "output.dense.weight", DIM, WIDE, 0.1F},
    {LAYER "output.dense.bias", 0, DIM, -1},
    {LAYER "output.LayerNorm.weight", 0, DIM, 0},
    {LAYER "output.LayerNorm.bias", 0, DIM, -1},
};
#define N_TENSORS (sizeof(tensors) / sizeof(*tensors))

static uint64_t seed = 20261124;

/* In [-1, 1), by Knuth's 64-bit linear congruential generator. */
static float random_next(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(int32_t)(seed >> 32) / 2147483648.0F;
}

static size_t tensor_size(const tensor *t)
{
    return (size_t)(t->rows > 0 ? t->rows : 1) * (size_t)t->columns;
}

static FILE *file_open(const char *dir, const char *name)
{
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

static void file_close(FILE *file)
{
    if (ferror(file) != 0 || fclose(file) != 0) {
        perror("make_tiny_model");
        exit(1);
    }
}

static void config_write(const char *dir)
{
    FILE *file = file_open(dir, "config.json");

    (void)fprintf(file,
                  "{\"model_type\": \"bert\", \"hidden_act\": \"gelu\",\n"
                  " \"hidden_size\": %d, \"intermediate_size\": %d,\n"
                  " \"num_attention_heads\": %d, \"num_hidden_layers\": 1,\n"
                  " \"max_position_embeddings\": %d, \"type_vocab_size\": %d,\n"
                  " \"vocab_size\": %d, \"layer_norm_eps\": 1e-12,\n"
                  " \"position_embedding_type\": \"absolute\"}\n",
                  DIM, WIDE, HEADS, POSITIONS, TYPES, VOCABULARY);
    file_close(file);
}

static void vocabulary_write(const char *dir)
{
    static const char characters[CHARACTERS + 1] =
        "abcdefghijklmnopqrstuvwxyz0123456789.,-&'()/:@";
    FILE *file = file_open(dir, "vocab.txt");

    (void)fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", file);
    for (size_t i = 0; i < CHARACTERS; i++)
        (void)fprintf(file, "%c\n", characters[i]);
    for (size_t i = 0; i < CHARACTERS; i++)
        (void)fprintf(file, "##%c\n", characters[i]);
    file_close(file);
}

/* The header is padded so that the data begins at a multiple of eight. */
static void header_write(FILE *file)
{
    static char text[8192];
    size_t len = 1;
    size_t offset = 0;

    text[0] = '{';
    for (size_t i = 0; i < N_TENSORS; i++) {
        const tensor *t = &tensors[i];
        size_t end = offset + tensor_size(t) * sizeof(float);
        char shape[32];

        if (t->rows > 0)
            (void)snprintf(shape, sizeof(shape), "%d,%d", t->rows, t->columns);
        else
            (void)snprintf(shape, sizeof(shape), "%d", t->columns);
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],"
                                "\"data_offsets\":[%zu,%zu]}",
                                i == 0 ? "" : ",", t->name, shape, offset, end);
        offset = end;
    }
    text[len++] = '}';
    while (len % 8 != 0)
        text[len++] = ' ';
    for (size_t i = 0; i < 8; i++)
        (void)fputc((int)(len >> (8 * i) & 0xFF), file);
    (void)fwrite(text, 1, len, file);
}

static void weights_write(const char *dir)
{
    FILE *file = file_open(dir, "model.safetensors");

    header_write(file);
    for (size_t i = 0; i < N_TENSORS; i++) {
        const tensor *t = &tensors[i];

        for (size_t k = 0; k < tensor_size(t); k++) {
            float value = t->spread > 0   ? t->spread * random_next()
                          : t->spread < 0 ? 0.0F
                                          : 1.0F;

            (void)fwrite(&value, sizeof(value), 1, file);
        }
    }
    file_close(file);
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        (void)fputs("usage: make_tiny_model DIR [SEED]\n", stderr);
        return 2;
    }
    if (argc == 3)
        seed = strtoull(argv[2], NULL, 10);
    (void)mkdir(argv[1], 0777);
    config_write(argv[1]);
    vocabulary_write(argv[1]);
    weights_write(argv[1]);
    return 0;
}
