/* Feeds foreign bytes to the HTTP codec: it answers with requests or with a
 * refusal, the same however the bytes are cut. The first byte says where. What
 * has two faults may be refused for either. */
#include <stdint.h>

#include "tests/daemon/transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    transcript whole, cut;
    const char *bytes = (const char *)data;
    size_t at;

    if (size == 0)
        return 0;
    at = size > 1 ? data[0] % (size - 1) : 0;
    bytes++;
    size--;
    transcript_begin(&whole);
    transcript_begin(&cut);
    transcript_feed(&whole, bytes, size);
    transcript_feed(&cut, bytes, at);
    transcript_feed(&cut, bytes + at, size - at);
    LK_ASSERT((whole.status == 0) == (cut.status == 0) &&
              whole.text.len == cut.text.len);
    if (whole.text.len > 0)
        LK_ASSERT(memcmp(whole.text.data, cut.text.data, cut.text.len) == 0);
    transcript_end(&whole);
    transcript_end(&cut);
    return 0;
}
