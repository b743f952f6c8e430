#include "rtc/queue.h"

#include <stdlib.h>
#include <string.h>

struct fb_item *fb_item_new(struct fb_peer *peer, enum fb_item_kind kind, int value,
                            const void *data, size_t len) {
    struct fb_item *item = malloc(sizeof *item + len);
    if (item == NULL)
        return NULL;
    *item = (struct fb_item){.peer = peer, .kind = kind, .value = value, .len = len};
    if (len > 0)
        memcpy(item->data, data, len);
    return item;
}

void fb_queue_push(struct fb_queue *queue, struct fb_item *item) {
    item->next = NULL;
    if (queue->head == NULL)
        queue->head = item;
    else
        queue->tail->next = item;
    queue->tail = item;
}

struct fb_item *fb_queue_pop(struct fb_queue *queue) {
    struct fb_item *item = queue->head;
    if (item != NULL)
        queue->head = item->next;
    return item;
}

void fb_queue_clear(struct fb_queue *queue) {
    for (struct fb_item *item; (item = fb_queue_pop(queue)) != NULL;)
        free(item);
}
