/*
 * payload: from the bytes of a connection to the records in them.
 *
 * A stream's body is plain or chunked (RFC 9112 section 7.1), a WebSocket's is frames (RFC 6455 section 5).
 * Every layer is a state of the client, so that a piece may end anywhere. A record is '^' and eight digits.
 */
#include "sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void hold(struct client *c, const char *p, size_t n)
{
    if (c->have + n >= LARGEST_ANSWER)
        fail(c, "answer too long");
    c->held = realloc(c->held, c->have + n + 1);
    if (!c->held)
        fail(c, "memory");
    memcpy(c->held + c->have, p, n);
    c->have += (uint32_t)n;
    c->held[c->have] = 0;
}

void let_go(struct client *c)
{
    free(c->held);
    c->held = NULL;
    c->have = 0;
}

void scan(struct client *c, const char *p, size_t n)
{
    const char *end = p + n;
    while (p < end) {
        if (c->digits == 0xff) {
            p = memchr(p, '^', (size_t)(end - p));
            if (!p)
                return;
            p++;
            c->digits = 0;
            c->number = 0;
        }
        for (; c->digits < 8 && p < end; p++, c->digits++) {
            if (*p < '0' || *p > '9')
                fail(c, "a record without a number");
            c->number = c->number * 10 + (uint32_t)(*p - '0');
        }
        if (c->digits == 8) {
            c->digits = 0xff;
            seen(c, c->number);
        }
    }
}

static void pong(struct client *c)
{
    /* A client's frame is masked (RFC 6455 section 5.3); a mask of zero leaves the payload as it is. */
    char frame[2 + 4 + 125] = {(char)0x8a, (char)(0x80 | c->have)};
    memcpy(frame + 6, c->held, c->have);
    if (send(c->fd, frame, 6 + c->have, MSG_NOSIGNAL) != (ssize_t)(6 + c->have))
        fail(c, "pong not taken: %s", strerror(errno));
}

static size_t frame_head_length(const struct client *c)
{
    if (c->ws_have < 2)
        return 2;
    uint8_t length = c->ws_head[1] & 0x7f;
    return length == 126 ? 4 : length == 127 ? 10 : 2;
}

static void frame_begins(struct client *c)
{
    uint8_t length = c->ws_head[1] & 0x7f;
    size_t wide = length == 126 ? 2 : length == 127 ? 8 : 0;
    c->left = wide ? 0 : length;
    for (size_t i = 0; i < wide; i++)
        c->left = c->left << 8 | c->ws_head[2 + i];
    c->opcode = c->ws_head[0] & 0x0f;
    c->ws_have = 0;
    if (c->ws_head[1] & 0x80)
        fail(c, "a masked frame from the server");
    if (c->opcode == 8)
        fail(c, "closed by the server");
}

static void frame_data(struct client *c, const char *p, size_t n)
{
    if (c->opcode == 9)
        hold(c, p, n);
    else if (c->opcode <= 2)
        scan(c, p, n);
}

static void frame_ends(struct client *c)
{
    if (c->opcode == 9) {
        hold(c, "", 0);
        pong(c);
        let_go(c);
    }
    c->layer = WS_HEAD;
}

void take_body(struct client *c, const char *p, size_t n)
{
    while (n) {
        size_t used = 1;
        switch (c->layer) {
        case PLAIN:
            used = n;
            scan(c, p, n);
            break;
        case CHUNK_SIZE: /* hexadecimal, CRLF; extensions are not expected */
            if (*p == '\n') {
                if (!c->left)
                    fail(c, "the stream ended");
                c->layer = CHUNK_DATA;
            } else if (*p != '\r') {
                c->left = c->left << 4 | (uint64_t)(*p <= '9' ? *p - '0' : (*p | 32) - 'a' + 10);
            }
            break;
        case CHUNK_DATA:
            used = n < c->left ? n : c->left;
            scan(c, p, used);
            c->left -= used;
            if (!c->left)
                c->layer = CHUNK_END;
            break;
        case CHUNK_END:
            if (*p == '\n')
                c->layer = CHUNK_SIZE;
            break;
        case WS_HEAD:
            c->ws_head[c->ws_have++] = (uint8_t)*p;
            if (c->ws_have == frame_head_length(c)) {
                frame_begins(c);
                c->layer = WS_DATA;
                if (!c->left)
                    frame_ends(c);
            }
            break;
        case WS_DATA:
            used = n < c->left ? n : c->left;
            frame_data(c, p, used);
            c->left -= used;
            if (!c->left)
                frame_ends(c);
            break;
        default:
            fail(c, "unknown layer");
        }
        p += used;
        n -= used;
    }
}

