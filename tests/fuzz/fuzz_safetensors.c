/* A .safetensors file of any bytes; of each tensor in it, the first and the last
 * number are read, which a lying offset would place outside the file. */
#include <stdint.h>

#include "encoder/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ends_read(const lk_tensor *tensor)
{
    float value;

    if (tensor->dtype == LK_DTYPE_OTHER || tensor->n_elements == 0)
        return;
    lk_tensor_read(tensor, 0, 1, &value);
    lk_tensor_read(tensor, tensor->n_elements - 1, 1, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lk_safetensors *file = NULL;
    linkd_error err;

    if (lk_safetensors_parse(data, size, "input", &file, &err) != LINKD_OK)
        return 0;
    for (size_t i = 0; i < lk_safetensors_n_tensors(file); i++) {
        const lk_tensor *tensor = lk_safetensors_get(file, i);

        LK_ASSERT(lk_safetensors_find(file, tensor->name) == tensor);
        ends_read(tensor);
    }
    lk_safetensors_free(file);
    return 0;
}
