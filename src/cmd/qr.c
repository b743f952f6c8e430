#include "cmd/qr.h"

#include <errno.h>
#include <stdbool.h>

#include <qrencode.h>

#include "base/err.h"

#define QUIET 2 /* modules of white around the code; readers manage with less than the norm's 4 */

static bool dark(const QRcode *code, int x, int y) {
    return x >= 0 && y >= 0 && x < code->width && y < code->width &&
           (code->data[y * code->width + x] & 1) != 0;
}

int fb_qr_print(FILE *out, const char *text) {
    static const char *const halves[] = {" ", "\u2580", "\u2584", "\u2588"};
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (code == NULL)
        return errno == ERANGE ? FB_ERR_TOO_BIG : FB_ERR_NOMEM;
    /* One character cell holds two modules, one above the other. */
    for (int y = -QUIET; y < code->width + QUIET; y += 2) {
        fputs("  \033[30;107m", out);
        for (int x = -QUIET; x < code->width + QUIET; x++)
            fputs(halves[dark(code, x, y) + 2 * dark(code, x, y + 1)], out);
        fputs("\033[0m\n", out);
    }
    QRcode_free(code);
    return 0;
}
