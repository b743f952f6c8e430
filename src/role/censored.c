#include "role/censored.h"

#include <string.h>

static bool is_letter(unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool fb_censored_parse(struct fb_censored *censored, const char *text) {
    *censored = (struct fb_censored){0};
    if (strcmp(text, "none") == 0)
        return true;
    bool any = false;
    for (text += strspn(text, " ,"); *text != '\0'; text += strspn(text, " ,")) {
        const unsigned char *code = (const unsigned char *)text;
        size_t len = strcspn(text, " ,");
        if (len != 2 || !is_letter(code[0]) || !is_letter(code[1]))
            return false;
        censored->rows[(code[0] & 31) - 1] |= UINT32_C(1) << ((code[1] & 31) - 1);
        text += len;
        any = true;
    }
    return any;
}

bool fb_censored_has(const struct fb_censored *censored, const uint8_t country[static 2]) {
    if (!is_letter(country[0]) || !is_letter(country[1]))
        return false;
    return (censored->rows[(country[0] & 31) - 1] >> ((country[1] & 31) - 1) & 1) != 0;
}
