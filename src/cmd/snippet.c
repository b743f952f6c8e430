#include "cmd/snippet.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/err.h"
#include "net/pages.h"

#define SHA384_LEN 48
#define SCRIPT "/widget-1.js"

static const struct fb_asset *find(const char *path) {
    for (size_t i = 0; i < fb_pages_widget.len; i++)
        if (strcmp(fb_pages_widget.at[i].path, path) == 0)
            return &fb_pages_widget.at[i];
    return NULL;
}

int fb_snippet_print(FILE *out, const char *origin) {
    const struct fb_asset *script = find(SCRIPT);
    unsigned char digest[SHA384_LEN], text[SHA384_LEN / 3 * 4 + 1];
    if (script == NULL ||
        EVP_Digest(script->body, script->len, digest, NULL, EVP_sha384(), NULL) != 1)
        return FB_ERR_NOT_FOUND;
    /* Integrity values are ordinary base64 (W3C Subresource Integrity), unlike join links. */
    EVP_EncodeBlock(text, digest, sizeof digest);
    fprintf(out,
            "  <script type=\"module\" src=\"%s" SCRIPT "\"\n"
            "    integrity=\"sha384-%s\"\n"
            "    crossorigin=\"anonymous\"></script>\n"
            "  <footbridge-widget layout=\"panel\"></footbridge-widget>\n\n"
            "or, where no foreign script is wanted:\n\n"
            "  <iframe src=\"%s/frame.html#layout=panel\" title=\"Footbridge\" width=\"100%%\"\n"
            "    height=\"332\" frameborder=\"0\" referrerpolicy=\"no-referrer\"></iframe>\n\n"
            "%s/preview.html shows both with other looks.\n",
            origin, (const char *)text, origin, origin);
    return 0;
}
