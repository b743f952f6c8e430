/* core/dest: whatever a prologue says, it has one form; whatever host text is taken, its prologue
 * reads back as the same. */
#include <stdlib.h>
#include <string.h>

#include "core/dest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fb_dest dest, again;
    uint8_t wire[FB_DEST_MAX];
    size_t used;
    if (fb_dest_read(&dest, data, size, &used) == 0 &&
        (fb_dest_write(&dest, wire) != used || memcmp(wire, data, used) != 0))
        abort();
    if (fb_dest_make(&dest, (const char *)data, size, 443) == 0) {
        size_t len = fb_dest_write(&dest, wire);
        if (fb_dest_read(&again, wire, len, &used) != 0 || used != len ||
            memcmp(&dest, &again, sizeof dest) != 0)
            abort();
    }
    return 0;
}
