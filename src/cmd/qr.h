/* QR codes on a terminal. */
#ifndef FB_CMD_QR_H
#define FB_CMD_QR_H

#include <stdio.h>

/* Draws text as a QR code, black on white whatever the terminal's colours. 0, FB_ERR_TOO_BIG (too
 * long for a code), FB_ERR_NOMEM. */
int fb_qr_print(FILE *out, const char *text);

#endif
