/*
 * Intrusive doubly linked list. A `struct fb_list` is both the head and the link inside an element;
 * a link that is in no list points to itself, so removing twice is harmless.
 */
#ifndef FB_BASE_LIST_H
#define FB_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct fb_list {
    struct fb_list *prev, *next;
};

static inline void fb_list_init(struct fb_list *link) {
    link->prev = link->next = link;
}

static inline bool fb_list_empty(const struct fb_list *head) {
    return head->next == head;
}

/* Puts link (in no list) at the end of head. */
static inline void fb_list_push(struct fb_list *head, struct fb_list *link) {
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void fb_list_remove(struct fb_list *link) {
    link->prev->next = link->next;
    link->next->prev = link->prev;
    fb_list_init(link);
}

/* The element of type that contains link as member. */
#define FB_CONTAINER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Visits every link; the loop body may remove and free the visited element. */
#define FB_LIST_EACH(it, head)                                                                     \
    for (struct fb_list *it = (head)->next, *it##_next = it->next; it != (head);                   \
         it = it##_next, it##_next = it->next)

#endif
