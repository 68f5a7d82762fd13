/* For scripts/check-image-parity: decodes image files, and prepares them.
 *
 *   image_pixels [-o] FILE...            the picture as it is
 *   image_pixels -p CONFIG [-o] FILE...  as that preprocessor_config.json says
 *
 * -o turns it upright. Of each file one line on standard output, "WIDTH HEIGHT"
 * and then that many pixels of three bytes, or "error MESSAGE". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encoder/file.h"
#include "encoder/image_prepare.h"

static const lk_preparation *preparation_read(const char *path)
{
    static lk_preparation preparation;
    linkd_error err;
    lk_file file;

    if (lk_file_map(path, &file, &err) != LINKD_OK ||
        lk_preparation_parse(file.bytes, file.len, &preparation, &err) !=
            LINKD_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    lk_file_unmap(&file);
    return &preparation;
}

static int image_read(const char *path, bool orient,
                      const lk_preparation *preparation, linkd_image *image,
                      linkd_error *err)
{
    linkd_image_options options = LINKD_IMAGE_OPTIONS_INIT;
    linkd_image whole = {0};
    lk_file file = {0};
    int rc = lk_file_map(path, &file, err);

    options.orient = orient;
    if (rc == LINKD_OK)
        rc = linkd_image_decode((linkd_str){(const char *)file.bytes, file.len},
                                &options, &whole, err);
    lk_file_unmap(&file);
    if (rc != LINKD_OK || preparation == NULL) {
        *image = whole;
        return rc;
    }
    rc = lk_image_prepare(preparation, &whole, image, err);
    linkd_image_clear(&whole);
    return rc;
}

int main(int argc, char **argv)
{
    const lk_preparation *preparation = NULL;
    bool orient = false;
    int letter;

    while ((letter = getopt(argc, argv, "op:")) != -1) {
        if (letter == 'o')
            orient = true;
        else if (letter == 'p')
            preparation = preparation_read(optarg);
        else
            return 2;
    }
    for (int i = optind; i < argc; i++) {
        linkd_image image = {0};
        linkd_error err;

        if (image_read(argv[i], orient, preparation, &image, &err) !=
            LINKD_OK) {
            (void)printf("error %s\n", err.message);
            continue;
        }
        (void)printf("%zu %zu\n", image.width, image.height);
        (void)fwrite(image.pixels, 3, image.width * image.height, stdout);
        linkd_image_clear(&image);
    }
    return 0;
}
