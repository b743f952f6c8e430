#include "cmd/exitopts.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cmd/ownaddr.h"
#include "net/loop.h"

static int complain(char *err, const char *option, const char *text, int code) {
    if (code == FB_ERR_MALFORMED)
        snprintf(err, FB_EXITOPTS_ERR_MAX, "--%s %.200s: malformed", option, text);
    else
        snprintf(err, FB_EXITOPTS_ERR_MAX, "--%s: %s", option, fb_strerror(code));
    return code;
}

static int add_rules(struct fb_exit_policy *policy, const struct fb_exitopts *opts, char *err) {
    for (size_t i = 0; i < opts->rules.len; i++) {
        const char *text = opts->rules.at[i];
        int code = fb_exit_policy_rule(policy, text, strlen(text));
        if (code != 0)
            return complain(err, "exit", text, code);
    }
    return 0;
}

static int add_addresses(struct fb_exit_policy *policy, const struct fb_exitopts *opts, char *err) {
    struct fb_addr addr;
    for (size_t i = 0; i < opts->own.len; i++) {
        const char *text = opts->own.at[i];
        int code = fb_addr_parse(text, strlen(text), &addr);
        if (code == 0)
            code = fb_exit_policy_own(policy, &addr);
        if (code != 0)
            return complain(err, "own-address", text, code);
    }
    for (size_t i = 0; i < opts->allow.len; i++) {
        const char *text = opts->allow.at[i];
        int code = fb_addr_parse_port(text, strlen(text), &addr);
        if (code == 0)
            code = fb_exit_policy_except(policy, &addr);
        if (code != 0)
            return complain(err, "allow", text, code);
    }
    int code = fb_own_addresses(policy);
    if (code != 0)
        snprintf(err, FB_EXITOPTS_ERR_MAX, "this machine's addresses cannot be read: %s",
                 fb_strerror(code));
    return code;
}

struct fb_exit_policy *fb_exitopts_policy(const struct fb_exitopts *opts,
                                          char err[static FB_EXITOPTS_ERR_MAX]) {
    struct fb_exit_policy *policy = fb_exit_policy_new(fb_mem_default());
    if (policy == NULL) {
        snprintf(err, FB_EXITOPTS_ERR_MAX, "%s", fb_strerror(FB_ERR_NOMEM));
        return NULL;
    }
    if (add_rules(policy, opts, err) != 0 || add_addresses(policy, opts, err) != 0) {
        fb_exit_policy_free(policy);
        return NULL;
    }
    return policy;
}
