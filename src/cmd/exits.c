#include "cmd/exits.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "net/loop.h"
#include "net/ownaddr.h"

static int complain(char *err, size_t cap, const char *option, const char *text, const char *why) {
    snprintf(err, cap, "--%s %.150s: %s", option, text, why);
    return FB_ERR_MALFORMED;
}

static int add_addresses(const struct fb_exits *exits, struct fb_exit_policy *policy, char *err,
                         size_t cap) {
    struct fb_addr addr;
    for (size_t i = 0; i < exits->own.len; i++) {
        const char *text = exits->own.at[i];
        if (fb_addr_parse(text, strlen(text), &addr) != 0 || fb_exit_policy_own(policy, &addr) != 0)
            return complain(err, cap, "own-address", text, "not an IP address");
    }
    for (size_t i = 0; i < exits->allow.len; i++) {
        const char *text = exits->allow.at[i];
        if (fb_addr_parse_port(text, strlen(text), &addr) != 0 ||
            fb_exit_policy_except(policy, &addr) != 0)
            return complain(err, cap, "allow", text, "not ADDRESS:PORT");
    }
    return 0;
}

int fb_exits_policy(const struct fb_exits *exits, struct fb_exit_policy **policy, char *err,
                    size_t cap) {
    *policy = fb_exit_policy_new(fb_mem_default());
    if (*policy == NULL) {
        snprintf(err, cap, "out of memory");
        return FB_ERR_NOMEM;
    }
    for (size_t i = 0; i < exits->rules.len; i++) {
        const char *text = exits->rules.at[i];
        if (fb_exit_policy_rule(*policy, text, strlen(text)) != 0)
            return complain(err, cap, "exit", text, "not a rule");
    }
    if (fb_own_addresses(*policy) != 0) {
        snprintf(err, cap, "this machine's addresses cannot be read");
        return FB_ERR_IO;
    }
    return add_addresses(exits, *policy, err, cap);
}
