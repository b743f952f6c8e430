#include "rtc/rtc.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/err.h"
#include "rtc/engine.h"

#define TICK_MS 10

struct fb_rtc {
    uv_loop_t *loop;
    uv_async_t async;
    uv_thread_t thread;
    struct fb_engine engine;
    GSource *wake, *tick;
    GMainLoop *main;
    int64_t ticked_us; /* rtc thread: up to when usrsctp's clock has been moved */
    pthread_mutex_t lock;
    struct fb_queue commands, events; /* under lock */
    /* The loop's thread alone. */
    int peers;
    bool stopping;
    void (*done)(void *user);
    void *user;
};

/* Of the rtc thread: usrsctp's output callback has no argument of ours. */
static struct fb_engine *the_engine;
static atomic_flag exists = ATOMIC_FLAG_INIT;

bool fb_rtc_stopping(const struct fb_rtc *rtc) {
    return rtc->stopping;
}

static struct fb_item *must_item(enum fb_item_kind kind) {
    struct fb_item *item = fb_item_new(NULL, kind, 0, NULL, 0);
    if (item == NULL)
        abort(); /* as GLib does */
    return item;
}

/* True when the queue was empty: the other thread is to be woken. */
static bool push(struct fb_rtc *rtc, struct fb_queue *queue, struct fb_item *item) {
    pthread_mutex_lock(&rtc->lock);
    bool first = queue->head == NULL;
    fb_queue_push(queue, item);
    pthread_mutex_unlock(&rtc->lock);
    return first;
}

static struct fb_queue take_all(struct fb_rtc *rtc, struct fb_queue *queue) {
    pthread_mutex_lock(&rtc->lock);
    struct fb_queue all = *queue;
    *queue = (struct fb_queue){0};
    pthread_mutex_unlock(&rtc->lock);
    return all;
}

void fb_rtc_command(struct fb_rtc *rtc, struct fb_item *item) {
    if (push(rtc, &rtc->commands, item))
        g_source_set_ready_time(rtc->wake, 0);
}

void fb_rtc_event(struct fb_rtc *rtc, struct fb_item *item) {
    if (push(rtc, &rtc->events, item))
        uv_async_send(&rtc->async);
}

void fb_rtc_wake(struct fb_rtc *rtc) {
    g_source_set_ready_time(rtc->wake, 0);
}

/* ---- rtc thread ---- */

static void on_packet(uintptr_t id, const uint8_t *packet, size_t len) {
    fb_conn_packet(the_engine, id, packet, len);
}

static gboolean on_tick(gpointer data) {
    struct fb_rtc *rtc = data;
    int64_t now = g_get_monotonic_time();
    int64_t elapsed_ms = (now - rtc->ticked_us) / 1000;
    if (elapsed_ms > 0) {
        rtc->ticked_us += elapsed_ms * 1000;
        fb_sctp_tick((uint32_t)elapsed_ms);
    }
    GHashTableIter iter;
    gpointer conn;
    g_hash_table_iter_init(&iter, rtc->engine.conns);
    while (g_hash_table_iter_next(&iter, NULL, &conn))
        fb_conn_tick(conn, now);
    return G_SOURCE_CONTINUE;
}

/* The tick runs while there are peers, so that an idle process sleeps. */
static void adjust_tick(struct fb_rtc *rtc) {
    bool needed = g_hash_table_size(rtc->engine.conns) > 0;
    if (needed && rtc->tick == NULL) {
        rtc->ticked_us = g_get_monotonic_time();
        rtc->tick = g_timeout_source_new(TICK_MS);
        g_source_set_callback(rtc->tick, on_tick, rtc, NULL);
        g_source_attach(rtc->tick, rtc->engine.context);
    } else if (!needed && rtc->tick != NULL) {
        g_source_destroy(rtc->tick);
        g_source_unref(rtc->tick);
        rtc->tick = NULL;
    }
}

/* The source's dispatch function, run when somebody set its ready time. */
static gboolean on_wake(GSource *source, GSourceFunc callback, gpointer data) {
    struct fb_rtc *rtc = data;
    g_source_set_ready_time(source, -1);
    struct fb_queue queue = take_all(rtc, &rtc->commands);
    for (struct fb_item *item; (item = fb_queue_pop(&queue)) != NULL;) {
        if (item->kind == FB_ITEM_STOP) {
            free(item);
            g_main_loop_quit(rtc->main);
        } else {
            fb_conn_command(&rtc->engine, item);
        }
    }
    if (rtc->engine.reap)
        fb_conn_reap(&rtc->engine);
    adjust_tick(rtc);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs wake_functions = {.dispatch = on_wake};

/* GLib hands on_wake its data together with a callback, which must be there. */
static gboolean never_called(gpointer data) {
    return G_SOURCE_CONTINUE;
}

/* libnice's messages may hold addresses, which no log of ours does. */
static void drop_log(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer data) {
}

static void run(void *arg) {
    struct fb_rtc *rtc = arg;
    the_engine = &rtc->engine;
    g_main_context_push_thread_default(rtc->engine.context);
    fb_sctp_start(on_packet);
    g_main_loop_run(rtc->main);
    fb_sctp_stop();
    g_main_context_pop_thread_default(rtc->engine.context);
    fb_rtc_event(rtc, must_item(FB_ITEM_STOPPED));
}

/* ---- the loop's thread ---- */

static void destroy(struct fb_rtc *rtc) {
    if (rtc->wake != NULL) {
        g_source_destroy(rtc->wake);
        g_source_unref(rtc->wake);
    }
    if (rtc->tick != NULL) {
        g_source_destroy(rtc->tick);
        g_source_unref(rtc->tick);
    }
    g_hash_table_destroy(rtc->engine.conns);
    g_main_loop_unref(rtc->main);
    g_main_context_unref(rtc->engine.context);
    pthread_mutex_destroy(&rtc->lock);
    free(rtc);
    atomic_flag_clear(&exists);
}

static void on_async_closed(uv_handle_t *handle) {
    struct fb_rtc *rtc = handle->data;
    void (*done)(void *user) = rtc->done;
    void *user = rtc->user;
    destroy(rtc);
    if (done != NULL)
        done(user);
}

static void on_async(uv_async_t *async) {
    struct fb_rtc *rtc = async->data;
    struct fb_queue queue = take_all(rtc, &rtc->events);
    for (struct fb_item *item; (item = fb_queue_pop(&queue)) != NULL;) {
        if (item->kind == FB_ITEM_STOPPED) {
            free(item);
            uv_thread_join(&rtc->thread);
            uv_close((uv_handle_t *)async, on_async_closed);
        } else {
            fb_peer_event(item);
        }
    }
}

/* Signals belong to the loop: the new thread takes none. */
static int start_thread(struct fb_rtc *rtc) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = uv_thread_create(&rtc->thread, run, rtc);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err;
}

int fb_rtc_new(struct fb_rtc **out, uv_loop_t *loop) {
    if (atomic_flag_test_and_set(&exists))
        return FB_ERR_STATE;
    struct fb_rtc *rtc = calloc(1, sizeof *rtc);
    if (rtc == NULL || uv_async_init(loop, &rtc->async, on_async) != 0) {
        free(rtc);
        atomic_flag_clear(&exists);
        return rtc == NULL ? FB_ERR_NOMEM : FB_ERR_IO;
    }
    rtc->loop = loop;
    rtc->async.data = rtc;
    pthread_mutex_init(&rtc->lock, NULL);
    g_log_set_handler("libnice", G_LOG_LEVEL_MASK, drop_log, NULL);
    g_log_set_handler("libnice-stun", G_LOG_LEVEL_MASK, drop_log, NULL);
    rtc->engine.context = g_main_context_new();
    rtc->main = g_main_loop_new(rtc->engine.context, FALSE);
    rtc->engine.conns = g_hash_table_new(g_direct_hash, g_direct_equal);
    rtc->wake = g_source_new(&wake_functions, sizeof(GSource));
    g_source_set_callback(rtc->wake, never_called, rtc, NULL);
    g_source_attach(rtc->wake, rtc->engine.context);
    if (start_thread(rtc) != 0) {
        uv_close((uv_handle_t *)&rtc->async, on_async_closed);
        return FB_ERR_IO;
    }
    *out = rtc;
    return 0;
}

static void stop_if_idle(struct fb_rtc *rtc) {
    if (rtc->stopping && rtc->peers == 0)
        fb_rtc_command(rtc, must_item(FB_ITEM_STOP));
}

void fb_rtc_count(struct fb_rtc *rtc, int change) {
    rtc->peers += change;
    stop_if_idle(rtc);
}

void fb_rtc_free(struct fb_rtc *rtc, void (*done)(void *user), void *user) {
    if (rtc == NULL)
        return;
    rtc->done = done;
    rtc->user = user;
    rtc->stopping = true;
    stop_if_idle(rtc);
}
