/*
 * What crosses between the loop's thread and the rtc thread: a singly linked queue of items, each
 * with its bytes behind it. The queue does not lock; rtc.c does.
 */
#ifndef FB_RTC_QUEUE_H
#define FB_RTC_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct fb_peer;

enum fb_item_kind {
    /* to the rtc thread */
    FB_ITEM_START,
    FB_ITEM_REMOTE, /* a struct fb_desc */
    FB_ITEM_SEND,
    FB_ITEM_RESUME, /* there is room for messages again */
    FB_ITEM_CLOSE,
    FB_ITEM_STOP, /* the thread shall end */
    /* to the loop's thread */
    FB_ITEM_DESCRIBED, /* a struct fb_desc */
    FB_ITEM_PROGRESS,  /* value: enum fb_peer_stage */
    FB_ITEM_MESSAGE,
    FB_ITEM_RELEASE, /* from the loop's thread to itself: messages were held back */
    FB_ITEM_WRITABLE,
    FB_ITEM_CLOSED, /* value: enum fb_peer_reason */
    FB_ITEM_GONE,   /* the last word on a peer: the thread knows it no more */
    FB_ITEM_STOPPED
};

struct fb_item {
    struct fb_item *next;
    struct fb_peer *peer;
    enum fb_item_kind kind;
    int value;
    size_t len;
    uint8_t data[];
};

struct fb_queue {
    struct fb_item *head, *tail;
};

/* NULL when out of memory. data may be NULL when len is 0. */
struct fb_item *fb_item_new(struct fb_peer *peer, enum fb_item_kind kind, int value,
                            const void *data, size_t len);
void fb_queue_push(struct fb_queue *queue, struct fb_item *item);
/* NULL when empty. */
struct fb_item *fb_queue_pop(struct fb_queue *queue);
/* Frees every item. */
void fb_queue_clear(struct fb_queue *queue);

#endif
