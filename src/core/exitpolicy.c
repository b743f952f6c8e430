#include "core/exitpolicy.h"

#include <string.h>

#include "base/err.h"
#include "core/addrclass.h"

enum source { EXCEPTION, OWN, INTERFACE, RULE };

struct entry {
    enum source source;
    bool allow;
    struct fb_addr prefix; /* family 0: every address */
    unsigned bits;
    uint16_t low, high; /* ports */
};

struct fb_exit_policy {
    const struct fb_mem *mem;
    struct entry *entries;
    size_t len, cap;
};

/* What Tor's default exit policy rejects: mail, file sharing of Windows, news, peer to peer. */
static const struct {
    uint16_t low, high;
} rejected_ports[] = {
    {25, 25},     {119, 119},   {135, 139},   {445, 445},   {563, 563},
    {1214, 1214}, {4661, 4666}, {6346, 6429}, {6699, 6699}, {6881, 6999},
};

struct fb_exit_policy *fb_exit_policy_new(const struct fb_mem *mem) {
    struct fb_exit_policy *policy = fb_alloc(mem, sizeof *policy);
    if (policy != NULL)
        policy->mem = mem;
    return policy;
}

void fb_exit_policy_free(struct fb_exit_policy *policy) {
    if (policy == NULL)
        return;
    fb_free(policy->mem, policy->entries);
    fb_free(policy->mem, policy);
}

static int add(struct fb_exit_policy *policy, const struct entry *entry) {
    if (policy->len == FB_EXIT_RULES_MAX)
        return FB_ERR_LIMIT;
    if (policy->len == policy->cap) {
        size_t cap = policy->cap == 0 ? 8 : policy->cap * 2;
        struct entry *bigger = fb_alloc(policy->mem, cap * sizeof *bigger);
        if (bigger == NULL)
            return FB_ERR_NOMEM;
        if (policy->len > 0)
            memcpy(bigger, policy->entries, policy->len * sizeof *bigger);
        fb_free(policy->mem, policy->entries);
        policy->entries = bigger;
        policy->cap = cap;
    }
    policy->entries[policy->len++] = *entry;
    return 0;
}

/* Decimal, up to five digits, no more than max; moves *text past it. */
static bool read_number(const char **text, const char *end, unsigned max, unsigned *out) {
    const char *start = *text;
    *out = 0;
    while (*text < end && **text >= '0' && **text <= '9' && *text - start < 5)
        *out = *out * 10 + (unsigned)(*(*text)++ - '0');
    return *text > start && *out <= max;
}

/* ":PORT[-PORT]" up to the end, or nothing. */
static bool read_ports(const char *at, const char *end, struct entry *entry) {
    unsigned low = 0, high = 65535;
    if (at < end) {
        if (*at++ != ':' || !read_number(&at, end, 65535, &low))
            return false;
        high = low;
        if (at < end && (*at++ != '-' || !read_number(&at, end, 65535, &high)))
            return false;
    }
    entry->low = (uint16_t)low;
    entry->high = (uint16_t)high;
    return at == end && low <= high;
}

/* "ADDR[/LEN]"; returns what follows, NULL when malformed. */
static const char *read_prefix(const char *at, const char *end, struct entry *entry) {
    if (*at == '*')
        return at + 1;
    bool brackets = *at == '[';
    const char *start = at + brackets;
    for (at = start; at < end && (brackets ? *at != ']' : *at != '/' && *at != ':'); at++)
        ;
    if (fb_addr_parse(start, (size_t)(at - start), &entry->prefix) != 0 ||
        (entry->prefix.family == 6) != brackets || (brackets && at++ == end))
        return NULL;
    unsigned max = entry->prefix.family == 4 ? 32 : 128;
    entry->bits = max;
    if (at < end && *at == '/') {
        at++;
        if (!read_number(&at, end, max, &entry->bits))
            return NULL;
    }
    return at;
}

int fb_exit_policy_rule(struct fb_exit_policy *policy, const char *text, size_t len) {
    static const char allow[] = "allow ", reject[] = "reject ";
    const char *at = text, *end = text + len;
    struct entry entry = {.source = RULE};
    if (len > sizeof allow - 1 && memcmp(text, allow, sizeof allow - 1) == 0) {
        entry.allow = true;
        at += sizeof allow - 1;
    } else if (len > sizeof reject - 1 && memcmp(text, reject, sizeof reject - 1) == 0) {
        at += sizeof reject - 1;
    } else {
        return FB_ERR_MALFORMED;
    }
    while (at < end && *at == ' ')
        at++;
    while (end > at && end[-1] == ' ')
        end--;
    if (at == end || (at = read_prefix(at, end, &entry)) == NULL || !read_ports(at, end, &entry))
        return FB_ERR_MALFORMED;
    return add(policy, &entry);
}

static struct entry single(const struct fb_addr *addr, enum source source) {
    struct entry entry = {.source = source, .prefix = fb_addr_unmap(addr), .high = 65535};
    entry.bits = entry.prefix.family == 4 ? 32 : 128;
    return entry;
}

int fb_exit_policy_own(struct fb_exit_policy *policy, const struct fb_addr *addr) {
    struct entry entry = single(addr, OWN);
    return add(policy, &entry);
}

int fb_exit_policy_interfaces(struct fb_exit_policy *policy, const struct fb_addr *addrs,
                              size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < policy->len; i++)
        kept += policy->entries[i].source != INTERFACE;
    if (count > FB_EXIT_RULES_MAX - kept)
        return FB_ERR_LIMIT;
    struct entry *fresh = fb_alloc(policy->mem, (kept + count + 1) * sizeof *fresh);
    if (fresh == NULL)
        return FB_ERR_NOMEM;
    size_t len = 0;
    for (size_t i = 0; i < policy->len; i++)
        if (policy->entries[i].source != INTERFACE)
            fresh[len++] = policy->entries[i];
    for (size_t i = 0; i < count; i++)
        fresh[len++] = single(&addrs[i], INTERFACE);
    fb_free(policy->mem, policy->entries);
    policy->entries = fresh;
    policy->len = len;
    policy->cap = kept + count + 1;
    return 0;
}

int fb_exit_policy_except(struct fb_exit_policy *policy, const struct fb_addr *addr) {
    struct entry entry = single(addr, EXCEPTION);
    entry.allow = true;
    entry.low = entry.high = addr->port;
    return add(policy, &entry);
}

static const struct entry *find(const struct fb_exit_policy *policy, enum source source,
                                const struct fb_addr *addr) {
    for (size_t i = 0; i < policy->len; i++) {
        const struct entry *entry = &policy->entries[i];
        if (entry->source == source && addr->port >= entry->low && addr->port <= entry->high &&
            (entry->prefix.family == 0 || fb_addr_in_prefix(addr, &entry->prefix, entry->bits)))
            return entry;
    }
    return NULL;
}

static bool allows(const struct fb_exit_policy *policy, const struct fb_addr *to) {
    if (find(policy, EXCEPTION, to) != NULL)
        return true;
    if (find(policy, OWN, to) != NULL || find(policy, INTERFACE, to) != NULL ||
        fb_addr_is_special(to))
        return false;
    const struct entry *rule = find(policy, RULE, to);
    if (rule != NULL)
        return rule->allow;
    for (size_t i = 0; i < sizeof rejected_ports / sizeof rejected_ports[0]; i++)
        if (to->port >= rejected_ports[i].low && to->port <= rejected_ports[i].high)
            return false;
    return true;
}

bool fb_exit_policy_allows(const struct fb_exit_policy *policy, const struct fb_addr *addr) {
    /* RFC 6052 section 2.1: where the egress's network translates it, this is an IPv4 address. */
    static const struct fb_addr nat64 = {.family = 6, .ip = {0x00, 0x64, 0xff, 0x9b}};
    struct fb_addr to = fb_addr_unmap(addr);
    if (to.family == 0 || to.port == 0 || !allows(policy, &to))
        return false;
    if (!fb_addr_in_prefix(&to, &nat64, 96))
        return true;
    struct fb_addr inner = {.family = 4, .port = to.port};
    memcpy(inner.ip, to.ip + 12, 4);
    return allows(policy, &inner);
}
