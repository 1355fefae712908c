/*
 * send_loop: the floor that every fan-out figure is compared with.
 *
 * Accepts N subscribers, answers each request head with a fixed response head, and then, told to on
 * standard input, sends each of COUNT records to every subscriber with one send() a record, at a
 * given pace or flat out. There is no parsing, no history, no encoding in it: what it costs is
 * what the kernel charges for handing the same bytes to the same number of sockets.
 *
 *     send_loop N
 *     stdin:   send FIRST COUNT PER_SECOND SIZE     (PER_SECOND 0: flat out)
 *     stdout:  one JSON object a line: listening, ready, sent
 *
 * A record is SIZE bytes: '^', its number in eight digits, then filling. The sink checks the numbers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NANO 1000000000LL
#define LARGEST_RECORD 65536
#define LARGEST_HEAD 8192

static const char RESPONSE_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n";

static void fail(const char *why)
{
    printf("{\"event\":\"failed\",\"why\":\"send_loop: %s: %s\"}\n", why, strerror(errno));
    fflush(stdout);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NANO + t.tv_nsec;
}

/* User plus system time of this process, as getrusage tells it. */
static int64_t cpu_ns(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * NANO +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000LL;
}

static int listen_on_loopback(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)&here, &length))
        fail("listen");
    printf("{\"event\":\"listening\",\"port\":%d}\n", ntohs(here.sin_port));
    fflush(stdout);
    return fd;
}

/* Accept one subscriber, read its request head, answer it. The same socket options as a server's. */
static int accept_subscriber(int listener)
{
    char head[LARGEST_HEAD];
    size_t have = 0;
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        fail("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (have < 4 || memcmp(head + have - 4, "\r\n\r\n", 4)) {
        ssize_t got = recv(fd, head + have, sizeof head - have, 0);
        if (got <= 0)
            fail("request head");
        have += (size_t)got;
    }
    if (send(fd, RESPONSE_HEAD, sizeof RESPONSE_HEAD - 1, MSG_NOSIGNAL) < 0)
        fail("response head");
    return fd;
}

static void send_record(int fd, const char *record, size_t size, long *waits)
{
    size_t done = 0;
    while (done < size) {
        ssize_t sent = send(fd, record + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            done += (size_t)sent;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            (*waits)++;
            if (poll(&wait, 1, 10000) <= 0)
                fail("a subscriber that takes nothing");
        } else {
            fail("send");
        }
    }
}

static void run(const int *subscribers, int count, long first, long records, double pace, size_t size)
{
    static char record[LARGEST_RECORD];
    char number[16];
    long waits = 0;
    int64_t started = now_ns(), cpu = cpu_ns();
    memset(record, 'x', size);
    for (long r = 0; r < records; r++) {
        if (pace > 0) {
            int64_t due = started + (int64_t)((double)r * NANO / pace);
            struct timespec at = {due / NANO, due % NANO};
            while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
                continue;
        }
        snprintf(number, sizeof number, "^%08ld", first + r);
        memcpy(record, number, 9);
        for (int i = 0; i < count; i++)
            send_record(subscribers[i], record, size, &waits);
    }
    printf("{\"event\":\"sent\",\"cpu_ns\":%lld,\"wall_ns\":%lld,\"waits\":%ld}\n",
           (long long)(cpu_ns() - cpu), (long long)(now_ns() - started), waits);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[256];
    int count = argc == 2 ? atoi(argv[1]) : 0;
    if (count < 1) {
        fprintf(stderr, "usage: send_loop N\n");
        return 2;
    }
    int *subscribers = calloc((size_t)count, sizeof *subscribers);
    if (!subscribers)
        fail("memory");
    int listener = listen_on_loopback();
    for (int i = 0; i < count; i++)
        subscribers[i] = accept_subscriber(listener);
    printf("{\"event\":\"ready\",\"cpu_ns\":%lld}\n", (long long)cpu_ns());
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        long first, records;
        double pace;
        size_t size;
        if (sscanf(line, "send %ld %ld %lf %zu", &first, &records, &pace, &size) != 4 || size < 9 ||
            size > LARGEST_RECORD) {
            errno = EINVAL;
            fail("command");
        }
        run(subscribers, count, first, records, pace, size);
    }
    free(subscribers);
    return 0;
}
