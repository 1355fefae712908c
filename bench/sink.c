/*
 * sink: one process that is N clients, cheap enough not to be what is measured.
 *
 *     sink MODE ADDRESS PORT N FIRST HEAD
 *
 * MODE    stream   a response that does not end (SSE; chunked or not), status 200
 *         ws       a WebSocket (RFC 6455), status 101; pings are answered
 *         cycle    long polling: each complete answer's "cursor" goes into the next request
 *         poll     keep-alive requests that are each answered 304, one in flight a connection
 * FIRST   number of the first record that each client must see
 * HEAD    the request head; "{n}" becomes the client's number, "{cursor}" its cursor
 *
 * A record is '^' and eight digits somewhere in the payload. Each client must see FIRST, FIRST + 1, ...
 * without hole, repeat or exchange; anything else ends the sink with a "failed" line and exit code 1.
 *
 *     stdin:   expect K    say when every client has K records (since the start)
 *              go M        poll: make M requests in all, say when the last is answered
 *     stdout:  one JSON object a line: ready, reached, failed. Times are CLOCK_MONOTONIC.
 */
#define _GNU_SOURCE
#include "sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NANO 1000000000LL
#define READ_SIZE 262144
#define OPENING_AT_ONCE 64       /* below any server's accept queue, so that no SYN is ever dropped */
#define CLIENTS_PER_ADDRESS 20000 /* then 127.0.0.2 and so on: ephemeral ports run short */
#define STDIN_MARK UINT32_MAX

enum mode { STREAM, WS, CYCLE, POLL };

static enum mode mode;
static const char *head_template;
static struct client *clients;
static uint32_t clients_wanted, clients_opened, clients_ready, first_number;
static uint32_t expected, behind; /* how many clients have not seen `expected` records yet */
static uint64_t records, bytes;
static uint64_t polls_to_send, polls_to_answer;
static int poller;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NANO + t.tv_nsec;
}

static void say(const char *event)
{
    printf("{\"event\":\"%s\",\"at_ns\":%lld,\"records\":%llu,\"bytes\":%llu}\n", event,
           (long long)now_ns(), (unsigned long long)records, (unsigned long long)bytes);
    fflush(stdout);
}

void fail(const struct client *c, const char *why, ...)
{
    va_list rest;
    printf("{\"event\":\"failed\",\"why\":\"sink: client %ld: ", c ? (long)c->index : -1L);
    va_start(rest, why);
    vprintf(why, rest);
    va_end(rest);
    printf("\"}\n");
    fflush(stdout);
    exit(1);
}

/* ---- records ---------------------------------------------------------------------------------- */

void seen(struct client *c, uint32_t number)
{
    if (number != first_number + c->count)
        fail(c, "record %u where %u was due", number, first_number + c->count);
    c->count++;
    records++;
    if (c->count == expected && --behind == 0)
        say("reached");
}

/* ---- requests --------------------------------------------------------------------------------- */

static void ask(struct client *c)
{
    char head[4096];
    size_t n = 0;
    for (const char *p = head_template; *p;) {
        size_t room = sizeof head - n;
        int put = 1;
        if (!strncmp(p, "{n}", 3)) {
            put = snprintf(head + n, room, "%u", c->index);
            p += 3;
        } else if (!strncmp(p, "{cursor}", 8)) {
            put = snprintf(head + n, room, "%s", c->cursor);
            p += 8;
        } else {
            head[n] = *p++;
        }
        n += (size_t)put;
        if (n + 1 >= sizeof head)
            fail(c, "request head too long");
    }
    if (send(c->fd, head, n, MSG_NOSIGNAL) != (ssize_t)n)
        fail(c, "request not taken: %s", strerror(errno));
}

static void open_client(struct client *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = c->index};
    int one = 1;
    c->digits = 0xff;
    c->layer = HEAD;
    strcpy(c->cursor, "earliest");
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) || epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event))
        fail(c, "epoll: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ask(c);
}

static void connect_client(const char *address, int port)
{
    struct client *c = &clients[clients_opened];
    c->index = clients_opened;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1;
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
        fail(c, "not an IPv4 address");
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        fail(c, "socket: %s", strerror(errno));
    if (ntohl(to.sin_addr.s_addr) >> 24 == 127) {
        from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + clients_opened / CLIENTS_PER_ADDRESS);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from))
            fail(c, "bind: %s", strerror(errno));
    }
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) /* loopback: at once */
        fail(c, "connect: %s", strerror(errno));
    clients_opened++;
    open_client(c);
}

/* ---- answers ---------------------------------------------------------------------------------- */

static void became_ready(void)
{
    if (++clients_ready == clients_wanted)
        say("ready");
}

static void check_status(const struct client *c, const char *head, int wanted)
{
    int status = 0;
    sscanf(head, "HTTP/1.1 %d", &status);
    if (status != wanted)
        fail(c, "status %d where %d was due", status, wanted);
}

static void take_cursor(struct client *c, const char *body)
{
    const char *p = strstr(body, "\"cursor\"");
    if (p)
        p = strchr(p + 8, '"');
    const char *end = p ? strchr(p + 1, '"') : NULL;
    if (!end || end - p > LARGEST_CURSOR)
        fail(c, "an answer without a cursor");
    memcpy(c->cursor, p + 1, (size_t)(end - p - 1));
    c->cursor[end - p - 1] = 0;
}

/* cycle and poll: answers with an end, one after another. */
static void take_answer(struct client *c, const char *p, size_t n)
{
    hold(c, p, n);
    char *head_end = strstr(c->held, "\r\n\r\n");
    if (!head_end)
        return;
    size_t body = (size_t)(head_end + 4 - c->held), length = 0;
    check_status(c, c->held, mode == POLL ? 304 : 200);
    if (mode == CYCLE) {
        const char *field = strcasestr(c->held, "\r\ncontent-length:");
        if (!field || field > head_end)
            fail(c, "an answer without Content-Length");
        length = strtoul(field + 17, NULL, 10);
    }
    if (c->have < body + length)
        return;
    if (c->have > body + length)
        fail(c, "more than the answer");
    uint32_t before = c->count;
    if (mode == CYCLE) {
        scan(c, c->held + body, length);
        take_cursor(c, c->held + body);
        if (c->count == before)
            fail(c, "an answer without a record");
    } else {
        c->count++;
        records++;
    }
    let_go(c);
    if (before == 0)
        became_ready();
    if (mode == CYCLE) {
        ask(c);
    } else if (before > 0) {
        if (polls_to_send) {
            polls_to_send--;
            ask(c);
        }
        if (--polls_to_answer == 0)
            say("reached");
    }
}

static void take_head(struct client *c, const char *p, size_t n)
{
    hold(c, p, n);
    char *head_end = strstr(c->held, "\r\n\r\n");
    if (!head_end)
        return;
    check_status(c, c->held, mode == WS ? 101 : 200);
    char *coding = strcasestr(c->held, "\r\ntransfer-encoding: chunked");
    c->layer = mode == WS ? WS_HEAD : coding && coding < head_end ? CHUNK_SIZE : PLAIN;
    size_t head = (size_t)(head_end + 4 - c->held), rest = c->have - head;
    char *held = c->held;
    c->held = NULL;
    c->have = 0;
    take_body(c, held + head, rest);
    free(held);
    became_ready();
}

static void readable(struct client *c)
{
    static char buffer[READ_SIZE];
    ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail(c, "connection %s", got ? strerror(errno) : "closed by the server");
    bytes += (uint64_t)got;
    if (mode == CYCLE || mode == POLL)
        take_answer(c, buffer, (size_t)got);
    else if (c->layer == HEAD)
        take_head(c, buffer, (size_t)got);
    else
        take_body(c, buffer, (size_t)got);
}

/* ---- commands --------------------------------------------------------------------------------- */

static void expect_records(uint32_t count)
{
    expected = count;
    behind = 0;
    for (uint32_t i = 0; i < clients_wanted; i++)
        behind += clients[i].count < count;
    if (!behind)
        say("reached");
}

static void start_polls(uint64_t count)
{
    polls_to_send = polls_to_answer = count;
    for (uint32_t i = 0; i < clients_wanted && polls_to_send; i++, polls_to_send--)
        ask(&clients[i]);
}

static void command(void)
{
    static char line[256];
    static size_t have;
    ssize_t got = read(0, line + have, sizeof line - 1 - have);
    if (got <= 0)
        exit(0); /* the harness is gone or done */
    have += (size_t)got;
    line[have] = 0;
    for (char *end; (end = strchr(line, '\n'));) {
        unsigned long long count;
        if (sscanf(line, "expect %llu", &count) == 1)
            expect_records((uint32_t)count);
        else if (mode == POLL && sscanf(line, "go %llu", &count) == 1 && count)
            start_polls(count);
        else
            fail(NULL, "unknown command");
        have -= (size_t)(end + 1 - line);
        memmove(line, end + 1, have + 1);
    }
    if (have == sizeof line - 1)
        fail(NULL, "command too long");
}

static enum mode mode_named(const char *name)
{
    static const char *names[] = {"stream", "ws", "cycle", "poll"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, names[i]))
            return (enum mode)i;
    fail(NULL, "unknown mode");
}

int main(int argc, char **argv)
{
    struct epoll_event events[512];
    struct epoll_event commands = {.events = EPOLLIN, .data.u32 = STDIN_MARK};
    if (argc != 7) {
        fprintf(stderr, "usage: sink MODE ADDRESS PORT N FIRST HEAD\n");
        return 2;
    }
    mode = mode_named(argv[1]);
    clients_wanted = (uint32_t)atol(argv[4]);
    first_number = (uint32_t)atol(argv[5]);
    head_template = argv[6];
    clients = calloc(clients_wanted, sizeof *clients);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || !clients_wanted || poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, 0, &commands))
        fail(NULL, "start: %s", strerror(errno));
    for (;;) {
        while (clients_opened < clients_wanted && clients_opened - clients_ready < OPENING_AT_ONCE)
            connect_client(argv[2], atoi(argv[3]));
        int count = epoll_wait(poller, events, 512, -1);
        if (count < 0 && errno != EINTR)
            fail(NULL, "epoll: %s", strerror(errno));
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == STDIN_MARK)
                command();
            else
                readable(&clients[events[i].data.u32]);
        }
    }
}
