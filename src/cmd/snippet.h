/* What a publisher pastes into a page. */
#ifndef FB_CMD_SNIPPET_H
#define FB_CMD_SNIPPET_H

#include <stdio.h>

/*
 * Prints the tags that embed the widget which the broker at origin serves ("https://host", without
 * a slash at its end): the element with its script, whose integrity is that of the script in this
 * program, and a plain frame for pages that allow no foreign script. 0 or FB_ERR_NOT_FOUND (the
 * program was built without the widget).
 */
int fb_snippet_print(FILE *out, const char *origin);

#endif
