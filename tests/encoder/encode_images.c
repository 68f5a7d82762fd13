/* For scripts/check-vision-parity: encodes image files.
 *
 *   encode_images [--merge-tokens=N] MODEL_DIR FILE... > vectors.f32
 *
 * Writes float [files, dim] in the machine's byte order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/encoder.h"
#include "encoder/file.h"

static int file_encode(const linkd_vision *vision, const char *path,
                       float *vector, linkd_error *err)
{
    linkd_image image = {0};
    lk_file file = {0};
    int rc = lk_file_map(path, &file, err);

    if (rc == LINKD_OK)
        rc = linkd_image_decode((linkd_str){(const char *)file.bytes, file.len},
                                NULL, &image, err);
    if (rc == LINKD_OK)
        rc = linkd_vision_encode(vision, 0, &image, vector, err);
    linkd_image_clear(&image);
    lk_file_unmap(&file);
    return rc;
}

int main(int argc, char **argv)
{
    linkd_vision *vision = NULL;
    linkd_error err = {0};
    float *vector = NULL;
    size_t dim = 0;
    static const char option[] = "--merge-tokens=";
    size_t n_merged = 0;
    int rc;

    if (argc > 1 && strncmp(argv[1], option, sizeof(option) - 1) == 0) {
        n_merged = strtoul(argv[1] + sizeof(option) - 1, NULL, 10);
        argv++;
        argc--;
    }
    if (argc < 3)
        return 2;
    rc = linkd_vision_open(argv[1], NULL, 1, &vision, &err);
    if (rc == LINKD_OK)
        rc = linkd_vision_merge_tokens(vision, n_merged, &err);
    if (rc == LINKD_OK) {
        dim = linkd_vision_describe(vision)->dim;
        vector = calloc(dim, sizeof(*vector));
    }
    for (int i = 2; i < argc && vector != NULL && rc == LINKD_OK; i++) {
        rc = file_encode(vision, argv[i], vector, &err);
        if (rc == LINKD_OK)
            (void)fwrite(vector, sizeof(*vector), dim, stdout);
    }
    if (rc != LINKD_OK)
        (void)fprintf(stderr, "%s\n", err.message);
    free(vector);
    linkd_vision_close(vision);
    return rc == LINKD_OK ? 0 : 1;
}
