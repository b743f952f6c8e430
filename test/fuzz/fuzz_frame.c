/* core/frame: whatever is read can be written, and reads back the same. */
#include <stdlib.h>
#include <string.h>

#include "core/frame.h"

static void write_back(const struct fb_frame *f) {
    static uint8_t buf[70000];
    struct fb_wr wr = fb_wr_make(buf, sizeof buf);
    struct fb_frame again;
    memset(&again, 0, sizeof again);
    fb_frame_write(&wr, f);
    struct fb_rd rd = fb_rd_make(buf, wr.len);
    if (!wr.ok || fb_frame_read(&rd, &again) != 0 || rd.len != 0)
        abort();
    if (again.type != f->type || again.stream != f->stream || again.value != f->value ||
        again.path != f->path || again.len != f->len || again.range_count != f->range_count)
        abort();
    for (size_t i = 0; i < f->range_count; i++)
        if (again.ranges[i].lo != f->ranges[i].lo || again.ranges[i].hi != f->ranges[i].hi)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct fb_rd rd = fb_rd_make(data, len > FB_MESSAGE_MAX ? FB_MESSAGE_MAX : len);
    while (rd.len > 0) {
        struct fb_frame f;
        memset(&f, 0, sizeof f);
        if (fb_frame_read(&rd, &f) != 0)
            break;
        if (f.type != FB_FRAME_STREAM && (f.type != FB_FRAME_ACK || f.value < UINT64_C(1) << 60))
            write_back(&f);
    }
    return 0;
}
