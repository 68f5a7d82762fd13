/* PNG files of any bytes. */
#include "tests/fuzz/image_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return image_fuzz(lk_png_decode, data, size);
}
