/*
 * load: many Socket.IO connections (Engine.IO 4, WebSocket) in one thread, and what a server makes of them.
 *
 *     cc -O2 -o load load.c
 *     load --port P [--conns N] [--send PACKET]... [--ctl P --room NAME] [--rate R | --window W] [--duration S]
 *
 * It opens N connections, takes each through the whole handshake and sends the packets given, which ask for an
 * acknowledgement each, such as 420["join-marketplace"]; %d in one becomes the connection's index. A connection has
 * joined when all of them are answered. Then events are published, not by this program but by whoever listens on --ctl
 * (127.0.0.1), in lines:
 *
 *     room <name> <rooms> <bytes>     once: where events go, %d in the name becomes n modulo rooms; size of the payload
 *     pub <n> <t>                     one event: its number from 1, and the unix microsecond at which it was due
 *
 * The payload of an event carries both as "n" and "t". With one room every connection hears every event; with as many
 * rooms as connections, event n is for connection n modulo N alone.
 *
 *   closed loop (default): at most W events are on their way; the next is published when the oldest has arrived
 *                everywhere. The server is never idle and never behind: throughput.
 *   no --ctl     it publishes nothing and hears what others publish until stdin ends: many of these programs together.
 *                Event numbers count from the first that any of its connections heard.
 *   --rate R     R events a second on a fixed schedule, whatever the server does; latency counts from the schedule,
 *                so a stall is not hidden: latency.
 *
 * Stdout gets one JSON object. What makes a figure worthless is counted: events missing, twice or out of order by n,
 * connections that the server closed, errors; and the CPU that the client itself, its core and the server had.
 * Stderr gets "READY ..." when all have joined. Exit status: 0 where all joined, 1 where not, 2 for wrong usage.
 *
 * --deaf lets its connections read nothing more once they have joined: clients that stall.
 *
 * --source A binds its connections to that address, such as 127.0.0.2: from one address come 28,000 at most.
 *
 * Not checked: Sec-WebSocket-Accept. Not understood: polling, TLS, binary events, fragments.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---------------------------------------------------------------------------------------------- options */

#define SENDS_MAX 4

static struct {
    int port, conns, inflight; /* inflight: handshakes at once */
    int ctl, rooms, bytes, window;
    int sends, deflate, deaf;
    int pid, core; /* the server's process, and the core that this program shares with the publisher */
    double rate, warmup, duration, settle, drain, timeout, linger; /* a second, then seconds */
    const char *room, *source, *send[SENDS_MAX];
    char **auth; /* JSON for CONNECT, connection i takes line i modulo auths */
    int auths;
} opt = {.conns = 100, .inflight = 100, .rooms = 1, .bytes = 420, .window = 8, .core = -1, .warmup = 1,
         .duration = 5, .settle = 0.5, .drain = 2, .timeout = 60, .room = "marketplace"};

static void die(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, rest);
    fputc('\n', stderr);
    va_end(rest);
    exit(2);
}

static void read_auths(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    if (!file) die("%s: %s", path, strerror(errno));
    while ((length = getline(&line, &room, file)) > 0) {
        if (line[length - 1] == '\n') line[length - 1] = 0;
        opt.auth = realloc(opt.auth, sizeof *opt.auth * (size_t)(opt.auths + 1));
        if (!opt.auth || !(opt.auth[opt.auths++] = strdup(line))) die("out of memory");
    }
    free(line);
    fclose(file);
    if (!opt.auths) die("%s is empty", path);
}

static void read_options(int argc, char **argv)
{
    const struct { const char *name; int *whole; double *real; const char **text; } known[] = {
        {"--port", &opt.port, 0, 0},         {"--conns", &opt.conns, 0, 0},     {"--inflight", &opt.inflight, 0, 0},
        {"--ctl", &opt.ctl, 0, 0},           {"--room", 0, 0, &opt.room},       {"--rooms", &opt.rooms, 0, 0},
        {"--bytes", &opt.bytes, 0, 0},       {"--window", &opt.window, 0, 0},   {"--rate", 0, &opt.rate, 0},
        {"--warmup", 0, &opt.warmup, 0},     {"--duration", 0, &opt.duration, 0},
        {"--settle", 0, &opt.settle, 0},     {"--drain", 0, &opt.drain, 0},     {"--timeout", 0, &opt.timeout, 0},
        {"--linger", 0, &opt.linger, 0},     {"--pid", &opt.pid, 0, 0},         {"--core", &opt.core, 0, 0},
        {"--source", 0, 0, &opt.source},
    };
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        size_t k = 0;
        if (!strcmp(name, "--deflate")) {
            opt.deflate = 1; /* offered as browsers do */
            continue;
        }
        if (!strcmp(name, "--deaf")) {
            opt.deaf = 1;
            continue;
        }
        if (!value) die("%s: not known, or without a value", name);
        i++;
        if (!strcmp(name, "--send")) {
            if (opt.sends == SENDS_MAX) die("at most %d --send", SENDS_MAX);
            opt.send[opt.sends++] = value;
            continue;
        }
        if (!strcmp(name, "--auths")) {
            read_auths(value);
            continue;
        }
        while (k < sizeof known / sizeof *known && strcmp(name, known[k].name)) k++;
        if (k == sizeof known / sizeof *known) die("%s is not known", name);
        if (known[k].whole) *known[k].whole = atoi(value);
        else if (known[k].real) *known[k].real = atof(value);
        else *known[k].text = value;
    }
    if (opt.port <= 0) die("--port is missing");
    if (opt.conns < 1 || opt.window < 1 || opt.inflight < 1) die("--conns, --window and --inflight are at least 1");
    if (opt.rooms != 1 && opt.rooms != opt.conns) die("--rooms is 1 or as many as --conns");
    if (opt.deflate && opt.duration > 0) die("compressed events are not read: --deflate goes with --duration 0");
    if (opt.deaf && opt.duration > 0) die("who stalls hears no events: --deaf goes with --duration 0");
    if (opt.rooms > 1 && !opt.ctl) die("--ctl is missing: who only hears, hears one room");
}

/* ---------------------------------------------------------------------------------- clocks and processes */

static int64_t now_us(void) /* wall clock, for it is compared with the publisher's */
{
    struct timespec it;
    clock_gettime(CLOCK_REALTIME, &it);
    return (int64_t)it.tv_sec * 1000000 + it.tv_nsec / 1000;
}

static long server_kb(const char *file, const char *key)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", opt.pid, file);
    FILE *f = opt.pid ? fopen(path, "r") : NULL;
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key))) kb = atol(line + strlen(key));
    fclose(f);
    return kb;
}

static double server_cpu(void) /* seconds */
{
    char path[64], line[1024], *rest;
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", opt.pid);
    FILE *f = opt.pid ? fopen(path, "r") : NULL;
    if (!f) return 0;
    if (fgets(line, sizeof line, f) && (rest = strrchr(line, ')'))) /* the name before may hold spaces */
        sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
    fclose(f);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu(void) /* seconds */
{
    struct rusage it;
    getrusage(RUSAGE_SELF, &it);
    return (double)(it.ru_utime.tv_sec + it.ru_stime.tv_sec) +
           (double)(it.ru_utime.tv_usec + it.ru_stime.tv_usec) / 1e6;
}

static double core_idle(void) /* seconds for which the core of --core had nothing to do */
{
    char line[512], name[16];
    unsigned long long user, nice, kernel, idle = 0, waiting = 0;
    FILE *f = opt.core >= 0 ? fopen("/proc/stat", "r") : NULL;
    if (!f) return 0;
    snprintf(name, sizeof name, "cpu%d ", opt.core);
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name))) {
            sscanf(line + strlen(name), "%llu %llu %llu %llu %llu", &user, &nice, &kernel, &idle, &waiting);
            break;
        }
    fclose(f);
    return (double)(idle + waiting) / (double)sysconf(_SC_CLK_TCK);
}

/* Microseconds in 128 steps for each power of two: less than 1 % off. */
#define STEPS 128
#define BUCKETS (STEPS * 40)
typedef struct {
    uint64_t count, bucket[BUCKETS];
    int64_t max;
} histogram;

static void note(histogram *h, int64_t us)
{
    int at;
    if (us < 0) us = 0;
    if (us > h->max) h->max = us;
    if (us < STEPS) {
        at = (int)us;
    } else {
        int power = 63 - __builtin_clzll((uint64_t)us) - 7; /* us >> power is 128 to 255 */
        at = STEPS * (power + 1) + (int)((us >> power) - STEPS);
    }
    h->bucket[at < BUCKETS ? at : BUCKETS - 1]++;
    h->count++;
}

static double percentile_ms(const histogram *h, double percent)
{
    uint64_t wanted = (uint64_t)((double)h->count * percent / 100), seen = 0;
    if (!h->count) return 0;
    if (wanted >= h->count) wanted = h->count - 1;
    for (int at = 0; at < BUCKETS; at++) {
        seen += h->bucket[at];
        if (seen > wanted)
            return (at < STEPS ? at : (double)((int64_t)(at % STEPS + STEPS) << (at / STEPS - 1))) / 1e3;
    }
    return (double)h->max / 1e3;
}

/* ------------------------------------------------------------------------------------------- connections */

enum state { CLOSED, CONNECTING, UPGRADING, OPENING, ADMITTED, JOINED };

typedef struct {
    int fd, acks;
    enum state state;
    int64_t began;   /* connect() */
    uint64_t last;   /* highest turn heard; the turns of a connection are 1, 2, 3, ... */
    uint64_t recent; /* bit i: turn last - i was heard */
    uint64_t heard;  /* turns, each once */
    uint64_t events;
    char *part; /* the beginning of what is not whole yet */
    size_t part_size, part_room;
} connection;

static connection *conns;
static int poller, opened, inflight, joined, failed, measuring;
static int64_t first_connect, last_join;
static uint64_t published, received;
static histogram handshakes, latencies;
static struct {
    uint64_t deliveries, bytes; /* while measuring */
    uint64_t twice, disordered, others, closed, errors, pings;
} seen;

static void leave(connection *c, int by_server)
{
    if (c->state == CLOSED) return;
    if (c->state == JOINED) {
        joined--;
        received -= c->events; /* what is outstanding is counted over those that are here */
        seen.closed += (uint64_t)by_server;
    } else {
        inflight--;
        failed++;
    }
    close(c->fd);
    free(c->part);
    c->part = NULL;
    c->part_size = c->part_room = 0;
    c->state = CLOSED;
}

static void transmit(connection *c, const void *bytes, size_t size)
{
    if (send(c->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size) { /* all is small: a full buffer is an error */
        seen.errors++;
        leave(c, 0);
    }
}

static void transmit_frame(connection *c, int opcode, const char *payload, size_t size)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    uint8_t frame[8192];
    size_t at = 0;
    if (size > sizeof frame - 16) die("a packet of %zu bytes is too long", size);
    frame[at++] = (uint8_t)(0x80 | opcode);
    if (size < 126) {
        frame[at++] = (uint8_t)(0x80 | size);
    } else {
        frame[at++] = 0x80 | 126;
        frame[at++] = (uint8_t)(size >> 8);
        frame[at++] = (uint8_t)size;
    }
    memcpy(frame + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < size; i++) frame[at + i] = (uint8_t)payload[i] ^ mask[i & 3];
    transmit(c, frame, at + size);
}

static void start(int i)
{
    connection *c = &conns[i];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)i};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (opt.source) {
        struct sockaddr_in from = {.sin_family = AF_INET};
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (!inet_aton(opt.source, &from.sin_addr) || bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0)
            die("--source %s: %s", opt.source, strerror(errno));
    }
    c->began = now_us();
    if (!first_connect) first_connect = c->began;
    c->state = CONNECTING;
    inflight++;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
        seen.errors++;
        leave(c, 0);
        return;
    }
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static void upgrade(connection *c)
{
    char request[512];
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(c - conns)};
    int size = snprintf(request, sizeof request,
                        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                        opt.port,
                        opt.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    c->state = UPGRADING;
    transmit(c, request, (size_t)size);
}

static void open_packet(connection *c)
{
    char packet[4200];
    int size = snprintf(packet, sizeof packet, "40%s", opt.auths ? opt.auth[(c - conns) % opt.auths] : "");
    if (size >= (int)sizeof packet) die("a line of --auths is too long");
    c->state = OPENING;
    transmit_frame(c, 1, packet, (size_t)size);
}

static void all_answered(connection *c)
{
    c->state = JOINED;
    inflight--;
    joined++;
    if (opt.deaf) epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
    last_join = now_us();
    note(&handshakes, last_join - c->began);
}

static void admitted(connection *c)
{
    c->state = ADMITTED;
    for (int k = 0; k < opt.sends && c->state == ADMITTED; k++) {
        char packet[1024];
        const char *index = strstr(opt.send[k], "%d");
        int size = index ? snprintf(packet, sizeof packet, "%.*s%d%s", (int)(index - opt.send[k]), opt.send[k],
                                    (int)(c - conns), index + 2)
                         : snprintf(packet, sizeof packet, "%s", opt.send[k]);
        if (size >= (int)sizeof packet) die("a --send is too long");
        transmit_frame(c, 1, packet, (size_t)size);
    }
    if (c->state == ADMITTED && !opt.sends) all_answered(c);
}

static int64_t number_behind(const char *text, size_t size, const char *key)
{
    const char *at = memmem(text, size, key, strlen(key)), *end = text + size;
    int64_t value = 0;
    if (!at) return -1;
    for (at += strlen(key); at < end && *at == ' ';) at++;
    if (at == end || *at < '0' || *at > '9') return -1;
    for (; at < end && *at >= '0' && *at <= '9'; at++) value = value * 10 + (*at - '0');
    return value;
}

/* Event n is so manyeth for the connection that should hear it; 0 for one that another should. */
static uint64_t turn_of(const connection *c, uint64_t n)
{
    if (opt.rooms == 1) return n;
    return n % (uint64_t)opt.rooms == (uint64_t)(c - conns) ? (n - 1) / (uint64_t)opt.rooms + 1 : 0;
}

static uint64_t first_heard, last_heard; /* by any connection */

static uint64_t turns_until(const connection *c, uint64_t n)
{
    uint64_t i = (uint64_t)(c - conns), first = i ? i : (uint64_t)opt.rooms;
    if (opt.rooms == 1) return n;
    return n < first ? 0 : (n - first) / (uint64_t)opt.rooms + 1;
}

static void on_event(connection *c, const char *text, size_t size, size_t on_wire, int64_t now)
{
    int64_t n = number_behind(text, size, "\"n\":"), due;
    uint64_t turn = n > 0 ? turn_of(c, (uint64_t)n) : 0;
    if (n <= 0) {
        seen.others++;
        return;
    }
    c->events++;
    received++;
    if (!first_heard || (uint64_t)n < first_heard) first_heard = (uint64_t)n;
    if ((uint64_t)n > last_heard) last_heard = (uint64_t)n;
    if (turn > c->last) {
        uint64_t ahead = turn - c->last;
        c->recent = ahead >= 64 ? 1 : (c->recent << ahead) | 1;
        c->last = turn;
        c->heard++;
    } else if (!turn) {
        seen.errors++; /* of a room that it is not in */
    } else if (c->last - turn < 64 && (c->recent >> (c->last - turn) & 1)) {
        seen.twice++;
    } else {
        seen.disordered++;
        c->heard++;
        if (c->last - turn < 64) c->recent |= 1ull << (c->last - turn);
    }
    if (!measuring) return;
    seen.deliveries++;
    seen.bytes += on_wire;
    due = number_behind(text, size, "\"t\":");
    if (due > 0) note(&latencies, now - due);
}

static void on_message(connection *c, int opcode, int compressed, const char *text, size_t size, size_t on_wire,
                       int64_t now)
{
    if (opcode == 9) {
        transmit_frame(c, 10, text, size);
    } else if (opcode == 8) {
        leave(c, 1);
    } else if (opcode != 1 || !size) {
        return;
    } else if (size == 1 && !compressed && text[0] == '2') {
        seen.pings++;
        transmit_frame(c, 1, "3", 1);
    } else if (c->state == UPGRADING && (compressed || text[0] == '0')) { /* compressed: what is due, unread */
        open_packet(c);
    } else if (c->state == OPENING && (compressed || (size > 1 && text[0] == '4' && text[1] == '0'))) {
        admitted(c);
    } else if (c->state == OPENING && size > 1 && text[0] == '4' && text[1] == '4') {
        if (!seen.errors++) fprintf(stderr, "load: refused: %.*s\n", (int)(size > 200 ? 200 : size), text);
        leave(c, 1);
    } else if (c->state == ADMITTED && (compressed || (size > 1 && text[0] == '4' && text[1] == '3'))) {
        if (!compressed && memmem(text, size, "\"ok\":false", 10) && !seen.errors++)
            fprintf(stderr, "load: refused: %.*s\n", (int)(size > 200 ? 200 : size), text);
        if (++c->acks == opt.sends) all_answered(c);
    } else if (!compressed && size > 1 && text[0] == '4' && text[1] == '2') {
        on_event(c, text, size, on_wire, now);
    }
}

/* Takes whole messages from the front; returns how many bytes they were. */
static size_t take(connection *c, char *bytes, size_t size, int64_t now)
{
    size_t used = 0;
    if (c->state == UPGRADING && size > 3 && !memcmp(bytes, "HTTP", 4)) {
        char *end = memmem(bytes, size, "\r\n\r\n", 4);
        if (!end) return 0;
        if (memcmp(bytes + 9, "101", 3)) {
            if (!seen.errors++) fprintf(stderr, "load: refused: %.*s\n", (int)(size > 200 ? 200 : size), bytes);
            leave(c, 1);
            return size;
        }
        used = (size_t)(end + 4 - bytes);
    }
    while (c->state != CLOSED) {
        const uint8_t *p = (const uint8_t *)bytes + used;
        size_t left = size - used, head = 2, length;
        if (left < 2) break;
        length = p[1] & 0x7f;
        if (length >= 126) {
            size_t more = length == 126 ? 2 : 8;
            if (left < 2 + more) break;
            for (length = 0; head < 2 + more;) length = length << 8 | p[head++];
        }
        if (left < head + length) break;
        if (!(p[0] & 0x80)) {
            seen.errors++;
            leave(c, 0);
            break;
        }
        used += head + length;
        on_message(c, p[0] & 15, p[0] >> 6 & 1, (const char *)p + head, length, head + length, now);
    }
    return c->state == CLOSED ? size : used;
}

#define AT_ONCE (256 * 1024)

static void on_readable(connection *c)
{
    static char shared[AT_ONCE];
    for (;;) {
        char *into = shared;
        size_t have = c->part_size, whole;
        if (have) { /* what comes is put behind what is there */
            if (have + AT_ONCE > c->part_room && !(c->part = realloc(c->part, c->part_room = have + AT_ONCE)))
                die("out of memory");
            into = c->part;
        }
        ssize_t got = recv(c->fd, into + have, AT_ONCE, 0);
        if (got <= 0) {
            if (got == 0 || (errno != EAGAIN && errno != EINTR)) leave(c, 1);
            return;
        }
        whole = have + (size_t)got;
        size_t used = take(c, into, whole, now_us()), rest = whole - used;
        if (c->state == CLOSED) return;
        if (!rest) {
            free(c->part);
            c->part = NULL;
            c->part_room = 0;
        } else if (into == shared) {
            if (!(c->part = malloc(c->part_room = rest))) die("out of memory");
            memcpy(c->part, shared + used, rest);
        } else {
            memmove(c->part, c->part + used, rest);
        }
        c->part_size = rest;
        if (got < AT_ONCE) return; /* that was all */
    }
}

static void pump(int wait_ms)
{
    struct epoll_event events[1024];
    int count = epoll_wait(poller, events, 1024, wait_ms);
    for (int i = 0; i < count; i++) {
        connection *c = &conns[events[i].data.u32];
        int error = 0;
        socklen_t size = sizeof error;
        if (c->state == CONNECTING) {
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
            if (!error) {
                upgrade(c);
                continue;
            }
            if (!seen.errors++) fprintf(stderr, "load: connect: %s\n", strerror(error));
            leave(c, 0);
        } else if (c->state != CLOSED) {
            on_readable(c);
        }
    }
}

static void pump_for(double seconds)
{
    int64_t end = now_us() + (int64_t)(seconds * 1e6), now;
    while ((now = now_us()) < end) pump((int)((end - now) / 1000) + 1);
}

/* -------------------------------------------------------------------------------------------- publishing */

static int ctl = -1;

static void tell(const char *lines, size_t size)
{
    if (write(ctl, lines, size) != (ssize_t)size) die("the publisher is gone: %s", strerror(errno));
}

static void open_ctl(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.ctl)};
    char line[256];
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ctl = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(ctl, (struct sockaddr *)&to, sizeof to) < 0) die("no publisher: %s", strerror(errno));
    setsockopt(ctl, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int size = snprintf(line, sizeof line, "room %s %d %d\n", opt.room, opt.rooms, opt.bytes);
    if (size >= (int)sizeof line) die("--room is too long");
    tell(line, (size_t)size);
}

static void publish(int64_t count, int64_t due, double step)
{
    char lines[32768];
    size_t size = 0;
    for (int64_t i = 0; i < count; i++) {
        size += (size_t)snprintf(lines + size, sizeof lines - size, "pub %llu %lld\n", (unsigned long long)++published,
                                 (long long)(due + (int64_t)((double)i * step)));
        if (size > sizeof lines - 64 || i == count - 1) {
            tell(lines, size);
            size = 0;
        }
    }
}

static int64_t listeners(void)
{
    return opt.rooms == 1 ? joined : 1;
}

/* Publishes what is due, and hears, until then. */
static void drive(int64_t since, int64_t until)
{
    static int64_t ticks;
    int64_t now;
    while ((now = now_us()) < until && joined > 0) {
        int64_t wait_us = until - now;
        if (opt.rate > 0) {
            double step = 1e6 / opt.rate;
            int64_t due = (int64_t)((double)(now - since) / step) + 1 - ticks; /* events, since the last time */
            if (due > 0) {
                publish(due, since + (int64_t)((double)ticks * step), step);
                ticks += due;
            }
            int64_t next = since + (int64_t)((double)ticks * step) - now;
            if (next < wait_us) wait_us = next;
        } else {
            int64_t outstanding = (int64_t)published * listeners() - (int64_t)received;
            int64_t free_slots = (opt.window * listeners() - outstanding) / listeners();
            if (free_slots > 0) publish(free_slots, now, 0);
            if (wait_us > 100000) wait_us = 100000;
        }
        pump(wait_us > 0 ? (int)((wait_us + 999) / 1000) : 0);
    }
}

static int told_to_end(void) /* stdin is at its end */
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    char rest[64];
    return poll(&in, 1, 0) > 0 && read(0, rest, sizeof rest) <= 0;
}

/* -------------------------------------------------------------------------------------------------- main */

int main(int argc, char **argv)
{
    struct rlimit files;
    read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if ((rlim_t)opt.conns + 16 > files.rlim_cur)
        die("%d connections are more than the %lu open files that this process may have", opt.conns,
            (unsigned long)files.rlim_cur);
    conns = calloc((size_t)opt.conns, sizeof *conns);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!conns || poller < 0) die("out of memory");
    if (opt.ctl) open_ctl();

    /* connect */
    long rss = server_kb("status", "VmRSS:"), pss = server_kb("smaps_rollup", "Pss:");
    double cpu = server_cpu(), own = own_cpu(), idle = core_idle();
    int64_t began = now_us(), give_up = began + (int64_t)(opt.timeout * 1e6);
    while (joined + failed + (int)seen.closed < opt.conns && now_us() < give_up) {
        while (opened < opt.conns && inflight < opt.inflight) start(opened++);
        pump(100);
    }
    int all = joined;
    double connect_s = (double)(last_join - first_connect) / 1e6, cpu_connect = server_cpu() - cpu;
    double own_connect = own_cpu() - own;
    double busy_connect = 1 - (core_idle() - idle) / ((double)(now_us() - began) / 1e6);
    fprintf(stderr, "READY %d of %d connections in %.2f s\n", all, opt.conns, connect_s);
    pump_for(opt.settle);
    long rss_idle = server_kb("status", "VmRSS:"), pss_idle = server_kb("smaps_rollup", "Pss:");

    /* events: warm up, measure, wait for the late */
    double measured = 0, cpu_run = 0, own_run = 0, busy = 0;
    uint64_t measured_events = 0;
    if (opt.duration > 0 && all && !opt.ctl) {
        int64_t from = now_us();
        measuring = 1;
        cpu = server_cpu(), own = own_cpu(), idle = core_idle();
        while (!told_to_end()) pump(100);
        measured = (double)(now_us() - from) / 1e6;
        cpu_run = server_cpu() - cpu, own_run = own_cpu() - own, busy = 1 - (core_idle() - idle) / measured;
        measured_events = published = last_heard ? last_heard - first_heard + 1 : 0;
    } else if (opt.duration > 0 && all) {
        int64_t since = now_us(), warm = since + (int64_t)(opt.warmup * 1e6);
        drive(since, warm);
        measuring = 1;
        measured_events = published;
        cpu = server_cpu(), own = own_cpu(), idle = core_idle();
        int64_t from = now_us();
        drive(since, warm + (int64_t)(opt.duration * 1e6));
        measured = (double)(now_us() - from) / 1e6;
        cpu_run = server_cpu() - cpu, own_run = own_cpu() - own, busy = 1 - (core_idle() - idle) / measured;
        measuring = 0;
        measured_events = published - measured_events;
        int64_t end = now_us() + (int64_t)(opt.drain * 1e6);
        while (now_us() < end && received < published * (uint64_t)listeners()) pump(10);
    }
    pump_for(opt.linger);

    /* report */
    int64_t missing = 0;
    if (opt.duration > 0)
        for (int i = 0; i < opt.conns; i++)
            if (conns[i].state == JOINED) missing += (int64_t)(turns_until(&conns[i], published) - conns[i].heard);
    double each = all ? all : 1, seconds = measured > 0 ? measured : 1;
    printf("{\"conns\":%d,\"joined\":%d,\"connect_s\":%.3f,\"handshakes_per_s\":%.0f,\"handshake_p99_ms\":%.2f,"
           "\"connect_server_cpu_s\":%.2f,\"connect_client_cpu_s\":%.2f,\"connect_core_pct\":%.1f,"
           "\"rss_kib_per_conn\":%.2f,\"pss_kib_per_conn\":%.2f,",
           opt.conns, all, connect_s, connect_s > 0 ? all / connect_s : 0, percentile_ms(&handshakes, 99), cpu_connect,
           own_connect, 100 * busy_connect, (double)(rss_idle - rss) / each, (double)(pss_idle - pss) / each);
    printf("\"measured_s\":%.3f,\"published\":%llu,\"events_per_s\":%.1f,\"deliveries_per_s\":%.0f,"
           "\"bytes_per_s\":%.0f,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
           "\"server_cpu_pct\":%.1f,\"client_cpu_pct\":%.1f,\"core_pct\":%.1f,",
           measured, (unsigned long long)published, (double)measured_events / seconds,
           (double)seen.deliveries / seconds, (double)seen.bytes / seconds, percentile_ms(&latencies, 50),
           percentile_ms(&latencies, 90), percentile_ms(&latencies, 99), (double)latencies.max / 1e3,
           100 * cpu_run / seconds, 100 * own_run / seconds, 100 * busy);
    printf("\"missing\":%lld,\"twice\":%llu,\"disordered\":%llu,\"others\":%llu,\"closed\":%llu,\"errors\":%llu,"
           "\"pings\":%llu}\n",
           (long long)missing, (unsigned long long)seen.twice, (unsigned long long)seen.disordered,
           (unsigned long long)seen.others, (unsigned long long)seen.closed, (unsigned long long)seen.errors,
           (unsigned long long)seen.pings);
    return all == opt.conns ? 0 : 1;
}
