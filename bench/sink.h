/*
 * sink.h: what the two halves of the sink share: one client, and the layers its payload is wrapped in.
 * sink.c opens clients, asks, and counts; payload.c unwraps bodies and finds the records in them.
 */
#ifndef SINK_H
#define SINK_H
#include <stddef.h>
#include <stdint.h>

#define LARGEST_ANSWER 65536 /* a response head, or a whole answer in the modes that have an end */
#define LARGEST_CURSOR 64

enum layer { HEAD, PLAIN, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, WS_HEAD, WS_DATA };

struct client {
    int fd;
    uint32_t index;
    uint8_t layer;
    uint8_t digits;   /* of a record's number seen so far; 0xff: outside a number */
    uint8_t opcode;   /* of the WebSocket frame at hand */
    uint8_t ws_have;  /* bytes of its header in ws_head */
    uint8_t ws_head[14];
    uint64_t left;    /* bytes left of the chunk or frame at hand */
    uint32_t number;  /* the part of a record's number seen so far */
    uint32_t count;   /* records seen, all in order */
    char *held;       /* a head or an answer that is not complete yet; a ping's payload */
    uint32_t have;
    char cursor[LARGEST_CURSOR];
};

/* sink.c: say why on standard output and end with exit code 1. */
__attribute__((noreturn, format(printf, 2, 3))) void fail(const struct client *c, const char *why, ...);
/* sink.c: a client has seen the record of this number. */
void seen(struct client *c, uint32_t number);

/* payload.c: add to what is held of a head or an answer; it stays NUL-terminated. */
void hold(struct client *c, const char *p, size_t n);
void let_go(struct client *c);
/* payload.c: find the records in a piece of payload; a number may be cut at the piece's end. */
void scan(struct client *c, const char *p, size_t n);
/* payload.c: unwrap a piece of the body of a stream or a WebSocket, and scan it. */
void take_body(struct client *c, const char *p, size_t n);

#endif
