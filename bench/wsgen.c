/*
 * wsgen - a WebSocket load generator for Helix; `wsgen --help` says how to call it.
 *
 * One thread, edge-triggered epoll, and nothing allocated while it measures. Members join the flows
 * `flow:bench<number>`. In relay mode senders push flow_change, and every member of the flow (the
 * sender too) is to get exactly one flow_update for it; a change carries its sender's number and its
 * own, which is all that is read of an update. In document mode senders push patches, each moves one
 * node, and every member is to get exactly one entry for it, and the sender an acknowledgement. Or
 * they push cursors, of which each says when it was pushed; the server may leave any out, and what
 * counts is how old those are that arrive.
 * Whatever may not happen (a connection that closes, a refused join or patch, an update twice, a
 * reset) ends the run with a message and exit code 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cursors.h"
#include "entries.h"
#include "process.h"
#include "websocket.h"

enum {
    PREFIX_BYTES = 192, /* of a message: enough to tell what it is and which change it carries */
    READ_BYTES = 1 << 20,
    MAX_EVENTS = 2048,
    MAX_JOINING = 64, /* connections that are being opened or joined at any time */
    SENDER_DIGITS = 4,
    CHANGE_DIGITS = 8,
    MAX_TOKEN_BYTES = 12000,
    MAX_SENDERS = 10000, /* what SENDER_DIGITS can tell apart */
    MAX_PORTS = 16,
    MAX_BESIDE = 16,
    SAMPLES_PER_SECOND = 1000000,
    MARKUP_BYTES = 24, /* of "changes", not counted by --size's filler */
    NODE_BYTES = 300,  /* of a node in a patch, at the most */
    SET_UP_REF = 2,    /* of the push that makes a flow's nodes; the join has 1 */
    FIRST_REF = 3,     /* of the first change */
    HALF_MAX_RATE = 100000, /* changes a second of --half, at the most */
    STUCK_RECEIVE_BYTES = 4096, /* what the kernels buffer for a stuck member shall be little: ... */
    STUCK_SEGMENT_BYTES = 536,  /* ... a sender's buffer is sized by the segments of its peer */
};

#define SECOND UINT64_C(1000000000) /* times are in nanoseconds, by the monotonic clock */
#define JOIN_TIMEOUT (120 * SECOND)
#define QUIET_TIME (SECOND * 3 / 10) /* without a byte: the server has nothing left to do */
#define SETTLE_TIMEOUT (30 * SECOND)
#define FILL_TIMEOUT (180 * SECOND)

enum mode {
    MODE_CLOSED,
    MODE_PIPELINED,
    MODE_RATE,
    MODE_CURSORS,
    MODE_IDLE,
    MODE_FILL,
    MODE_LOAD,
    MODE_STORM,
    MODE_DEATH,
};

static const char *const mode_names[] = {"closed", "pipelined", "rate", "cursors",
                                         "idle",   "fill",      "load", "storm",
                                         "death"};

/* After which phoenix.js connects again, and joins again when it was refused. */
static const int reconnect_ms[] = {10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000};
static const int rejoin_ms[] = {1000, 2000, 5000, 10000};

struct options {
    enum mode mode;
    int ports[MAX_PORTS], port_count; /* of the nodes of one server; most have one */
    int server_pid;                   /* of the first */
    int beside[MAX_BESIDE], beside_count; /* other processes whose CPU time is told */
    int members, group, senders; /* senders: 0 is one for each flow */
    int warm_members;
    int stuck; /* the last so many members */
    long stuck_bytes;
    int size, window;
    double rate, warm, duration; /* changes a second; seconds */
    bool documents, half;
    int nodes, entries;
    const char *tokens; /* a file */
};

static struct options options = {
    .mode = MODE_CLOSED,
    .members = 10,
    .size = 200,
    .window = 64,
    .nodes = 100,
    .stuck_bytes = 3 << 20,
    .warm = 0.5,
    .duration = 3,
};

enum state { CONNECTING, UPGRADING, JOINING, SETTING_UP, JOINED, WAITING };

/* The payload of a frame that has arrived, or as much of its start as anybody reads. */
struct payload {
    const uint8_t *bytes;
    size_t length;
};

/* Where a connection stands in the frame that it reads. */
struct frame_reader {
    uint8_t header[MAX_HEADER_BYTES];
    uint8_t header_length;
    bool in_payload;
    uint64_t payload_left;
    size_t prefix_length; /* the payload's start, kept only when it comes in several reads */
    uint8_t prefix[PREFIX_BYTES];
};

struct connection {
    int fd;
    int flow;
    enum state state;
    int head_end_matched; /* how much of "\r\n\r\n" the answer to the upgrade has shown */
    struct frame_reader reader;
    struct entry_scanner scanner;
    struct cursor_scanner cursor_scanner;
    struct buffer out;
    bool wants_write;
    bool makes_nodes;      /* in document mode: the first member of its flow */
    struct sender *sender; /* if it is one */
    uint64_t join_sent;
    uint64_t retry_at; /* in a storm: when to connect or join again; 0 for not at all */
    uint32_t connects, joins; /* in a storm: attempts since it was last connected, or joined */
    int node;                 /* it connects to the node of this port */
};

/* A change that was pushed and has not reached every member yet. */
struct change {
    uint64_t due;
    uint32_t number, seen;
};

struct sender {
    int connection;
    uint32_t sent, completed;
    uint32_t audience; /* how often each change must be seen: by its flow's members, and in document
                          mode by the sender once more, as the acknowledgement */
    struct change *ring; /* by number, modulo ring_length; never overtaken, see ring_length() */
    uint32_t ring_length;
};

/* What is counted while the generator runs; a figure is the difference of two of them. */
struct totals {
    uint64_t at, frames, deliveries, acknowledged, completed, bytes, waiting, server_cpu;
    uint64_t beside_cpu[MAX_BESIDE];
};

static struct connection *connections;
static struct sender *senders;
static int sender_count, flow_count, opened, joined;
static int epoll_fd;
static struct totals totals; /* `at` and CPU times only in the copies of take_totals() */
static uint32_t most_sent = UINT32_MAX; /* changes of a sender */
static bool storming; /* what else would end the run is tried again */
static uint64_t connects, losses, refused_joins; /* of the storm */
static bool measuring, pushing; /* pushing: a change that is complete is followed by the next */
static uint32_t *samples; /* us: of a change until all had it, while measuring; or of a join */
static size_t sample_count, sample_capacity;
static uint64_t started_at;
static char **tokens;     /* one for each connection; NULL where they show none */
static uint64_t read_at; /* when the bytes that are being handled were read */
static char *filler;
static char *push_text;
static size_t push_capacity;

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("wsgen: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        die("calloc");
    return memory;
}

static int wait_ms(const int *steps, size_t count, uint32_t attempt)
{
    return steps[attempt < count ? attempt : count - 1];
}

/*
 * How long a member waits before it connects again: as phoenix.js does, and, where a node has died,
 * every second flow's as Helix's own clients do: evenly from nothing to 0.1 s, twice as much each
 * time, 30 s at the most.
 */
static uint64_t reconnect_wait(const struct connection *connection)
{
    uint32_t attempt = connection->connects;
    if (options.mode != MODE_DEATH || connection->flow % 2)
        return wait_ms(reconnect_ms, sizeof reconnect_ms / sizeof *reconnect_ms, attempt) *
               (SECOND / 1000);
    double most = 0.1 * (1 << (attempt < 9 ? attempt : 9));
    return (uint64_t)((most < 30 ? most : 30) * SECOND * drand48());
}

/* In a storm: the connection is gone, and comes back; to the next node, if there are several. */
static void lose(struct connection *connection)
{
    struct linger reset = {.l_onoff = 1};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(connection->fd);
    if (connection->state == JOINED)
        joined--;
    connection->fd = -1;
    connection->state = WAITING;
    connection->head_end_matched = 0;
    connection->reader = (struct frame_reader){0};
    buffer_consume(&connection->out, buffer_length(&connection->out));
    connection->node = (connection->node + 1) % options.port_count;
    connection->retry_at = now() + reconnect_wait(connection);
    connection->connects++;
    losses++;
}

/* In a storm: the join was refused. */
static void join_later(struct connection *connection)
{
    refused_joins++;
    uint32_t attempt = connection->joins++;
    connection->retry_at = now() + wait_ms(rejoin_ms, sizeof rejoin_ms / sizeof *rejoin_ms, attempt) *
                                       (SECOND / 1000);
}

/* ---- writing ---- */

static void watch(struct connection *connection, int operation, bool wants_write)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLET | (wants_write ? EPOLLOUT : 0),
        .data.ptr = connection,
    };
    connection->wants_write = wants_write;
    if (epoll_ctl(epoll_fd, operation, connection->fd, &event))
        die("epoll_ctl");
}

static void flush(struct connection *connection)
{
    struct buffer *out = &connection->out;
    while (buffer_length(out) > 0) {
        ssize_t sent =
            send(connection->fd, out->bytes + out->start, buffer_length(out), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && storming) {
            lose(connection);
            return;
        }
        if (sent < 0 && errno != EAGAIN)
            die("send");
        if (sent < 0) {
            if (!connection->wants_write)
                watch(connection, EPOLL_CTL_MOD, true);
            return;
        }
        buffer_consume(out, sent);
    }
    if (connection->wants_write)
        watch(connection, EPOLL_CTL_MOD, false);
}

static void send_frame(struct connection *connection, int opcode, const void *payload,
                       size_t length)
{
    static const uint8_t mask[MASK_BYTES] = {0x37, 0xfa, 0x21, 0x3d};
    struct buffer *out = &connection->out;
    uint8_t *frame = buffer_reserve(out, MAX_HEADER_BYTES + length);
    size_t header = write_header(frame, opcode, MASK_BIT, length);
    memcpy(frame + header, mask, MASK_BYTES);
    header += MASK_BYTES;
    apply_mask(frame + header, payload, length, mask);
    out->end += header + length;
    flush(connection);
}

static void send_upgrade(struct connection *connection)
{
    char request[400 + MAX_TOKEN_BYTES];
    int length = snprintf(
        request, sizeof request,
        "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " SAMPLE_KEY "\r\n"
        "Sec-WebSocket-Version: 13\r\n",
        options.ports[connection->node]);
    if (tokens)
        length += snprintf(request + length, sizeof request - length,
                           "Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.%s\r\n",
                           tokens[connection - connections]);
    length += snprintf(request + length, sizeof request - length, "\r\n");
    buffer_append(&connection->out, request, length);
    flush(connection);
}

static void send_join(struct connection *connection)
{
    char message[150];
    int length = snprintf(message, sizeof message, "[\"1\",\"1\",\"flow:bench%d\",\"phx_join\",{",
                          connection->flow);
    if (options.documents)
        length += snprintf(message + length, sizeof message - length,
                           "\"mode\":\"document\",\"client_id\":\"c%0*d\"", CLIENT_DIGITS,
                           (int)(connection - connections));
    length += snprintf(message + length, sizeof message - length, "}]");
    connection->join_sent = now();
    send_frame(connection, OPCODE_TEXT, message, length);
}

/* Makes all nodes of a flow with one patch. */
static void send_nodes(struct connection *connection)
{
    size_t capacity = 200 + (size_t)options.nodes * NODE_BYTES;
    char *text = allocate(capacity, 1);
    int length = snprintf(text, capacity,
                          "[\"1\",\"%d\",\"flow:bench%d\",\"patch\",{\"op_id\":1,\"patch\":{\"nodes\":{",
                          SET_UP_REF, connection->flow);
    for (int i = 0; i < options.nodes; i++)
        length += snprintf(
            text + length, capacity - length,
            "%s\"n%d\":{\"id\":\"n%d\",\"type\":\"agent\",\"position\":{\"x\":0,\"y\":%d},"
            "\"data\":{\"label\":\"Step %d\",\"description\":\"What it does, in some words\","
            "\"config\":{\"model\":\"large\",\"temperature\":0.5,\"tags\":[\"a\",\"b\"]}}}",
            i ? "," : "", i, i, i * 120, i);
    length += snprintf(text + length, capacity - length, "}}}]");
    send_frame(connection, OPCODE_TEXT, text, length);
    free(text);
}

/* Each sender moves nodes of its own in turn, to where they have never been. */
static int write_patch(const struct sender *sender, uint32_t number)
{
    uint32_t index = (uint32_t)(sender - senders);
    uint32_t node = flow_count > 1 ? number : number * sender_count + index;
    return snprintf(push_text, push_capacity,
                    "[\"1\",\"%u\",\"flow:bench%d\",\"patch\","
                    "{\"op_id\":" OP_START "%0*d%0*u,\"patch\":{\"nodes\":"
                    "{\"n%u\":{\"position\":{\"x\":%u,\"y\":%u}}}}}]",
                    number + FIRST_REF, connections[sender->connection].flow, CLIENT_DIGITS,
                    (int)sender->connection, OP_DIGITS, number, node % options.nodes, number + 1,
                    node % 1000 + 1);
}

static int write_change(const struct sender *sender, uint32_t number)
{
    return snprintf(push_text, push_capacity,
                    "[\"1\",\"%u\",\"flow:bench%d\",\"flow_change\","
                    "{\"changes\":{\"q\":\"%0*d%0*u\",\"z\":\"%s\"}}]",
                    number + FIRST_REF, connections[sender->connection].flow, SENDER_DIGITS,
                    (int)(sender - senders), CHANGE_DIGITS, number, filler);
}

/* Pushes the sender's next change; its latency counts from `due`. */
static void push_change(struct sender *sender, uint64_t due)
{
    struct connection *connection = &connections[sender->connection];
    uint32_t number = sender->sent++;
    sender->ring[number % sender->ring_length] = (struct change){.due = due, .number = number};
    int length =
        options.documents ? write_patch(sender, number) : write_change(sender, number);
    send_frame(connection, OPCODE_TEXT, push_text, length);
}

/* Pushes a cursor whose place is when it was due, in us. */
static void push_cursor(struct sender *sender, uint64_t due)
{
    uint32_t number = sender->sent++;
    int length = snprintf(push_text, push_capacity,
                          "[\"1\",\"%u\",\"flow:bench%d\",\"cursor\",{\"x\":%lu,\"y\":%u.5}]",
                          number + FIRST_REF, connections[sender->connection].flow,
                          (due - started_at) / 1000, number % 1000);
    sender->completed++; /* nothing more is heard of it */
    totals.completed++;
    send_frame(&connections[sender->connection], OPCODE_TEXT, push_text, length);
}

static void fill_window(struct sender *sender)
{
    while (sender->sent - sender->completed < (uint32_t)options.window && sender->sent < most_sent)
        push_change(sender, now());
}

/* ---- reading ---- */

static const uint8_t *find(struct payload payload, const char *text)
{
    return memmem(payload.bytes, payload.length, text, strlen(text));
}

/* How to print a payload in a message. */
#define SHOWN(payload) (int)(payload).length, (payload).bytes

static void sample_latency(uint64_t due)
{
    uint64_t microseconds = (read_at - due) / 1000;
    if (sample_count == sample_capacity)
        fail("more than %zu changes completed: measure for a shorter time", sample_capacity);
    samples[sample_count++] = microseconds > UINT32_MAX ? UINT32_MAX : (uint32_t)microseconds;
}

static uint32_t read_digits(const uint8_t *text, int count)
{
    uint32_t number = 0;
    for (int i = 0; i < count; i++)
        number = number * 10 + (text[i] - '0');
    return number;
}

/*
 * The digits that say which change a message is about, or NULL if it is no update. A server writes
 * all its updates alike, so the place where they stood last is tried first.
 */
static const uint8_t *find_digits(struct payload payload)
{
    static const char key[] = "\"q\":";
    static const size_t key_length = sizeof key - 1, needed = SENDER_DIGITS + CHANGE_DIGITS;
    static size_t key_offset, digits_offset;
    if (digits_offset && digits_offset + needed <= payload.length &&
        memcmp(payload.bytes + key_offset, key, key_length) == 0)
        return payload.bytes + digits_offset;
    const uint8_t *event = find(payload, "\"flow_update\"");
    if (!event)
        return NULL;
    const uint8_t *end = payload.bytes + payload.length;
    const uint8_t *found = memmem(event, end - event, key, key_length);
    const uint8_t *quote = found ? memchr(found + key_length, '"', end - found - key_length) : NULL;
    if (!quote || (size_t)(end - quote) <= needed)
        fail("an update without its change's number: %.*s", SHOWN(payload));
    key_offset = found - payload.bytes;
    digits_offset = quote + 1 - payload.bytes;
    return quote + 1;
}

/* Somebody has seen a change. */
static void count_change(struct sender *sender, uint32_t number)
{
    struct change *change = &sender->ring[number % sender->ring_length];
    if (change->number != number || change->seen == sender->audience || number >= sender->sent)
        fail("an update twice, or out of turn: sender %d, change %u", (int)(sender - senders),
             number);
    if (++change->seen < sender->audience)
        return;
    totals.completed++;
    sender->completed++;
    if (measuring)
        sample_latency(change->due);
    if (pushing)
        fill_window(sender);
}

/* One member has an update: counts it for its change. */
static void on_update(const uint8_t *digits)
{
    uint32_t sender_number = read_digits(digits, SENDER_DIGITS);
    if (sender_number >= (uint32_t)sender_count)
        fail("an update by a sender that is none: %u", sender_number);
    totals.deliveries++;
    count_change(&senders[sender_number], read_digits(digits + SENDER_DIGITS, CHANGE_DIGITS));
}

/* One member has an entry. */
static void on_entry(uint32_t client, uint32_t operation)
{
    int count = options.members + options.warm_members;
    struct sender *sender = client < (uint32_t)count ? connections[client].sender : NULL;
    if (!sender)
        fail("an entry by a client that sends none: %u", client);
    totals.deliveries++;
    count_change(sender, operation);
}

/* One member has a cursor. */
static void on_cursor(uint64_t pushed_at)
{
    totals.deliveries++;
    if (measuring)
        sample_latency(started_at + pushed_at * 1000);
}

/* The answer to the push `ref`, which may be a join, the making of nodes, or a change. */
static void on_reply(struct connection *connection, struct payload payload)
{
    static const char start[] = "[\"1\",\"";
    if (storming && find(payload, "\"status\":\"error\"")) {
        join_later(connection);
        return;
    }
    if (find(payload, "\"status\":\"error\""))
        fail("refused: %.*s", SHOWN(payload));
    if (payload.length <= sizeof start || memcmp(payload.bytes, start, sizeof start - 1))
        fail("a reply that is none: %.*s", SHOWN(payload));
    uint32_t ref = (uint32_t)strtoul((const char *)payload.bytes + sizeof start - 1, NULL, 10);
    if (connection->state == JOINING && connection->makes_nodes) {
        connection->state = SETTING_UP;
        send_nodes(connection);
    } else if (connection->state != JOINED) {
        connection->state = JOINED;
        connection->joins = 0;
        joined++;
    } else if (options.documents) {
        totals.acknowledged++;
        count_change(connection->sender, ref - FIRST_REF);
    }
}

/* client_joined and the like arrive too, and are no concern of ours. */
static void on_text(struct connection *connection, struct payload payload)
{
    const uint8_t *digits =
        connection->state == JOINED && !options.documents ? find_digits(payload) : NULL;
    if (digits)
        on_update(digits);
    else if (payload.length > 1 && payload.bytes[1] == '"' && find(payload, "\"phx_reply\""))
        on_reply(connection, payload);
    else if (storming && find(payload, "\"phx_error\""))
        lose(connection);
    else if (find(payload, "\"phx_error\"") || find(payload, "\"phx_close\""))
        fail("the server ended a channel: %.*s", SHOWN(payload));
    else if (options.documents && find(payload, "\"reset\",{"))
        fail("a member was sent the document: it fell far behind, or the log was replaced");
}

static void on_frame(struct connection *connection, struct payload payload)
{
    uint8_t first = connection->reader.header[0];
    totals.frames++;
    switch (first) {
    case FINAL_BIT | OPCODE_TEXT:
        on_text(connection, payload);
        break;
    case FINAL_BIT | OPCODE_PING:
        send_frame(connection, OPCODE_PONG, payload.bytes, payload.length);
        break;
    case FINAL_BIT | OPCODE_PONG:
        break;
    case FINAL_BIT | OPCODE_CLOSE:
        if (storming) {
            lose(connection);
            break;
        }
        fail("the server closed a connection with code %d",
             payload.length < 2 ? 0 : (int)read_number(payload.bytes, 2));
    default:
        fail("a frame of a kind that is not expected: 0x%02x", first);
    }
}

/* Takes bytes of a header; true when it is complete. */
static bool take_header(struct frame_reader *reader, const uint8_t **bytes, const uint8_t *end)
{
    int needed = 2;
    if (reader->header_length >= 2)
        needed += extended_length_bytes(reader->header[1]);
    while (reader->header_length < needed) {
        if (*bytes == end)
            return false;
        reader->header[reader->header_length++] = *(*bytes)++;
        if (reader->header_length == 2)
            needed += extended_length_bytes(reader->header[1]);
    }
    return true;
}

/*
 * Takes bytes of a payload; true when it is complete. One that is whole in this read, as most are,
 * is looked at where it lies.
 */
static bool take_payload(struct frame_reader *reader, const uint8_t **bytes, const uint8_t *end,
                         struct payload *payload)
{
    size_t part = end - *bytes;
    if (part > reader->payload_left)
        part = reader->payload_left;
    *payload = (struct payload){*bytes, part};
    *bytes += part;
    reader->payload_left -= part;
    if (reader->payload_left == 0 && reader->prefix_length == 0)
        return true;
    size_t kept = PREFIX_BYTES - reader->prefix_length;
    if (kept > part)
        kept = part;
    memcpy(reader->prefix + reader->prefix_length, payload->bytes, kept);
    reader->prefix_length += kept;
    *payload = (struct payload){reader->prefix, reader->prefix_length};
    return reader->payload_left == 0;
}

/* A read may hold any number of frames, whole ones and parts. */
static void take_frames(struct connection *connection, const uint8_t *bytes, const uint8_t *end)
{
    struct frame_reader *reader = &connection->reader;
    while (bytes < end) {
        struct payload payload;
        if (!reader->in_payload) {
            if (!take_header(reader, &bytes, end))
                return;
            reader->in_payload = true;
            reader->payload_left = payload_length(reader->header);
            reader->prefix_length = 0;
            connection->scanner.length = 0;
            connection->cursor_scanner = (struct cursor_scanner){0};
        }
        const uint8_t *part = bytes;
        bool is_whole = take_payload(reader, &bytes, end, &payload);
        if (options.mode == MODE_CURSORS && connection->state == JOINED)
            scan_cursors(&connection->cursor_scanner, part, bytes - part, on_cursor);
        else if (options.documents && connection->state == JOINED)
            scan_entries(&connection->scanner, part, bytes - part, on_entry);
        if (!is_whole)
            return;
        on_frame(connection, payload);
        if (connection->fd < 0)
            return;
        reader->in_payload = false;
        reader->header_length = 0;
    }
}

/* Skips the head of the answer to the upgrade; returns what follows it. */
static const uint8_t *take_head(struct connection *connection, const uint8_t *bytes,
                                const uint8_t *end)
{
    static const char status[] = "HTTP/1.1 101", head_end[] = "\r\n\r\n";
    size_t length = end - bytes;
    bool refused = connection->head_end_matched == 0 &&
                   (length < sizeof status - 1 || memcmp(bytes, status, sizeof status - 1));
    if (refused && storming) {
        lose(connection);
        return end;
    }
    if (refused)
        fail("upgrade refused: %.*s", (int)(length < 400 ? length : 400), bytes);
    while (bytes < end && head_end[connection->head_end_matched]) {
        uint8_t byte = *bytes++;
        if (byte == head_end[connection->head_end_matched])
            connection->head_end_matched++;
        else
            connection->head_end_matched = byte == '\r';
    }
    return bytes;
}

static void handle_bytes(struct connection *connection, const uint8_t *bytes, size_t length)
{
    const uint8_t *end = bytes + length;
    if (connection->state == UPGRADING) {
        bytes = take_head(connection, bytes, end);
        if (connection->head_end_matched < 4)
            return;
        connection->state = JOINING;
        connection->connects = 0;
        send_join(connection);
    }
    take_frames(connection, bytes, end);
}

static void read_connection(struct connection *connection)
{
    static uint8_t bytes[READ_BYTES];
    ssize_t received;
    do {
        received = recv(connection->fd, bytes, sizeof bytes, 0);
        if (received < 0 && errno == EAGAIN)
            return;
        if (received <= 0 && storming) {
            lose(connection);
            return;
        }
        if (received == 0)
            fail("the server cut a connection");
        if (received < 0)
            die("recv");
        totals.bytes += received;
        read_at = now();
        handle_bytes(connection, bytes, received);
    } while (received == sizeof bytes && connection->fd >= 0);
}

/* ---- the loop ---- */

static void on_event(struct connection *connection, uint32_t events)
{
    if (connection->state == CONNECTING) {
        if ((events & (EPOLLERR | EPOLLHUP)) && storming) {
            lose(connection);
            return;
        }
        if (events & (EPOLLERR | EPOLLHUP))
            fail("could not connect to port %d", options.ports[connection->node]);
        connection->state = UPGRADING;
        send_upgrade(connection);
        return;
    }
    if ((events & EPOLLOUT) && buffer_length(&connection->out) > 0)
        flush(connection);
    if ((events & ~EPOLLOUT) && connection->fd >= 0)
        read_connection(connection);
}

static int handle_events(int timeout_ms)
{
    static struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(epoll_fd, events, MAX_EVENTS, timeout_ms);
    for (int i = 0; i < count; i++)
        on_event(events[i].data.ptr, events[i].events);
    return count;
}

/* Sleeps until something arrives, or until a time. */
static void sleep_until(uint64_t until)
{
    uint64_t time = now();
    struct pollfd events = {.fd = epoll_fd, .events = POLLIN};
    if (time >= until)
        return;
    struct timespec rest = {(until - time) / SECOND, (until - time) % SECOND};
    ppoll(&events, 1, &rest, NULL);
}

/*
 * Handles events; counts the time in which there were none. In relay mode it never sleeps, so that
 * waking up is no part of what is measured; in document mode it leaves its core to the store.
 */
static void spin(uint64_t until)
{
    for (uint64_t before = now(), after; before < until; before = after) {
        int count = handle_events(0);
        if (count <= 0 && options.documents)
            sleep_until(until);
        after = now();
        if (count <= 0)
            totals.waiting += after - before;
    }
}

/* ---- joining ---- */

static void open_connection(struct connection *connection)
{
    int one = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(options.ports[connection->node]),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connection->fd < 0)
        die("socket");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connection - connections >= options.members - options.stuck) {
        int bytes = STUCK_RECEIVE_BYTES, segment = STUCK_SEGMENT_BYTES;
        setsockopt(connection->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
        setsockopt(connection->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    }
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) &&
        errno != EINPROGRESS)
        die("connect");
    watch(connection, EPOLL_CTL_ADD, true);
}

/* Opens and joins connections, a few at a time, until `count` have joined. */
static void join_members(int count)
{
    uint64_t started = now();
    while (joined < count) {
        while (opened < count && opened - joined < MAX_JOINING)
            open_connection(&connections[opened++]);
        handle_events(100);
        if (now() - started > JOIN_TIMEOUT)
            fail("only %d of %d have joined", joined, count);
    }
}

/*
 * Joins all members. In document mode each flow is made before its other members ask for it: one
 * port may be that of several nodes (--workers), and who has a flow open on another node before it
 * is made is sent the document once it is.
 */
static void join_flows(void)
{
    if (options.documents)
        join_members(flow_count);
    join_members(options.members);
}

/* Lets the server come to rest: it may still have to tell all members of all those joins. */
static void settle(void)
{
    uint64_t started = now(), quiet_since = started, bytes = totals.bytes;
    while (now() - quiet_since < QUIET_TIME) {
        handle_events(5);
        if (totals.bytes != bytes) {
            bytes = totals.bytes;
            quiet_since = now();
        }
        if (quiet_since - started > SETTLE_TIMEOUT)
            fail("the server does not come to rest after the joins");
    }
}

/* ---- the modes ---- */

static struct totals take_totals(void)
{
    struct totals taken = totals;
    taken.server_cpu = process_cpu(options.server_pid);
    for (int i = 0; i < options.beside_count; i++)
        taken.beside_cpu[i] = family_cpu(options.beside[i]);
    taken.at = now();
    return taken;
}

/* When the load of a paced mode began, and how many changes or cursors it has pushed. */
struct pace {
    uint64_t began, pushed;
};

static uint64_t next_due(const struct pace *pace)
{
    return pace->began + (uint64_t)(pace->pushed * (SECOND / options.rate));
}

/* The senders in turn, evenly spaced, whether or not the server keeps up. */
static void push_at_rate(struct pace *pace, uint64_t until)
{
    for (uint64_t time = now(); time < until; time = now()) {
        while (next_due(pace) <= time) {
            struct sender *sender = &senders[pace->pushed % sender_count];
            if (options.mode == MODE_CURSORS)
                push_cursor(sender, next_due(pace));
            else
                push_change(sender, next_due(pace));
            pace->pushed++;
        }
        spin(next_due(pace) < until ? next_due(pace) : until);
    }
}

/* Whether the generator sets the pace, not the server. */
static bool is_paced(void)
{
    return options.mode == MODE_RATE || options.mode == MODE_CURSORS;
}

static void run_load(struct pace *pace, uint64_t until)
{
    if (is_paced())
        push_at_rate(pace, until);
    else
        spin(until);
}

static int compare_samples(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* In us. */
static uint32_t percentile(double fraction)
{
    return sample_count ? samples[(size_t)(fraction * (sample_count - 1))] : 0;
}

static uint64_t backlog(void)
{
    uint64_t changes = 0;
    for (int i = 0; i < sender_count; i++)
        changes += senders[i].sent - senders[i].completed;
    return changes;
}

/* How the run was called. */
static void print_settings(void)
{
    printf("{\"mode\":\"%s\",\"documents\":%d,\"members\":%d,\"flows\":%d,\"senders\":%d,\"size\":%d,\"window\":%d,"
           "\"rate\":%.0f",
           mode_names[options.mode], options.documents, options.members, flow_count, sender_count,
           options.size, options.window, options.rate);
}

/* Prints what was counted between two times, each name with a prefix; returns changes a second. */
static double print_figures(const char *prefix, struct totals before, struct totals after)
{
    double seconds = (double)(after.at - before.at) / SECOND;
    double cpu_seconds = (double)(after.server_cpu - before.server_cpu) / SECOND;
    uint64_t deliveries = after.deliveries - before.deliveries;
    uint64_t changes = after.completed - before.completed;
    if (changes == 0)
        fail("not one change has reached all its members");
    qsort(samples, sample_count, sizeof *samples, compare_samples);
#define PRINT(name, format, value) printf(",\"%s" name "\":" format, prefix, value)
    PRINT("seconds", "%.3f", seconds);
    PRINT("changes", "%lu", changes);
    PRINT("deliveries", "%lu", deliveries);
    PRINT("frames_per_second", "%.1f", (after.frames - before.frames) / seconds);
    PRINT("changes_per_second", "%.1f", changes / seconds);
    PRINT("acknowledged_per_second", "%.1f", (after.acknowledged - before.acknowledged) / seconds);
    PRINT("deliveries_per_second", "%.1f", deliveries / seconds);
    PRINT("bytes_per_second", "%.0f", (after.bytes - before.bytes) / seconds);
    PRINT("backlog", "%lu", backlog());
    PRINT("p50_us", "%u", percentile(0.5));
    PRINT("p90_us", "%u", percentile(0.9));
    PRINT("p99_us", "%u", percentile(0.99));
    PRINT("max_us", "%u", percentile(1));
    PRINT("server_cpu_share", "%.3f", cpu_seconds / seconds);
    PRINT("server_cpu_us_per_delivery", "%.3f", deliveries ? cpu_seconds * 1e6 / deliveries : 0);
    PRINT("generator_idle_share", "%.3f",
          (double)(after.waiting - before.waiting) / SECOND / seconds);
    PRINT("cpu_us_per_change", "%.1f", cpu_seconds * 1e6 / changes);
    for (int i = 0; i < options.beside_count; i++)
        printf(",\"%sbeside%d_cpu_us_per_change\":%.1f", prefix, i,
               (double)(after.beside_cpu[i] - before.beside_cpu[i]) / 1000 / changes);
#undef PRINT
    return changes / seconds;
}

/*
 * Loads the server for a while that does not count, and then for one that does; returns how many
 * changes a second that one had. */
static double measure_while(const char *prefix)
{
    struct pace pace = {.began = now()};
    pushing = !is_paced();
    for (int i = 0; pushing && i < sender_count; i++)
        fill_window(&senders[i]);
    run_load(&pace, pace.began + (uint64_t)(options.warm * SECOND));
    struct totals before = take_totals();
    sample_count = 0;
    measuring = true;
    run_load(&pace, before.at + (uint64_t)(options.duration * SECOND));
    measuring = false;
    return print_figures(prefix, before, take_totals());
}

/* Pushes nothing more, and waits for what is outstanding. */
static void come_to_rest(void)
{
    uint64_t started = now();
    pushing = false;
    while (backlog() > 0) {
        handle_events(100);
        if (now() - started > SETTLE_TIMEOUT)
            fail("%lu changes have not reached all members", backlog());
    }
}

/*
 * Stops reading from some members, and measures once more when so much is on its way to each of them
 * that the server must have given them up.
 */
static void measure_stuck(void)
{
    come_to_rest();
    long memory_before = process_memory(options.server_pid);
    for (int i = options.members - options.stuck; i < options.members; i++)
        if (epoll_ctl(epoll_fd, EPOLL_CTL_DEL, connections[i].fd, NULL))
            die("epoll_ctl");
    for (int i = 0; i < sender_count; i++)
        senders[i].audience -= options.stuck;
    uint32_t p99_before = percentile(0.99);
    options.warm += options.stuck_bytes / (options.rate * options.size);
    measure_while("stuck_");
    long memory_after = process_memory(options.server_pid);
    printf(",\"stuck\":%d,\"memory_before_kb\":%ld,\"memory_after_kb\":%ld,"
           "\"stuck_memory_kb\":%ld,\"stuck_p99_ratio\":%.3f",
           options.stuck, memory_before, memory_after, memory_after - memory_before,
           (double)percentile(0.99) / p99_before);
}

static void measure_load(void)
{
    join_flows();
    settle();
    print_settings();
    double reached = measure_while("");
    if (options.half) {
        options.rate = reached / 2;
        options.mode = MODE_RATE;
        if (options.rate > HALF_MAX_RATE)
            fail("--half is for at most %d changes a second", HALF_MAX_RATE);
        come_to_rest();
        printf(",\"half_rate\":%.1f", options.rate);
        measure_while("half_");
    }
    if (options.stuck)
        measure_stuck();
    puts("}");
}

/* Makes the nodes of all flows, and in the last of them so many entries more. */
static void fill_flows(void)
{
    join_members(options.members);
    uint64_t started = now();
    pushing = true;
    most_sent = options.entries;
    fill_window(&senders[sender_count - 1]);
    while (totals.completed < (uint64_t)options.entries) {
        handle_events(100);
        if (now() - started > FILL_TIMEOUT)
            fail("only %lu entries were made", totals.completed);
    }
    print_settings();
    printf(",\"entries\":%d,\"fill_seconds\":%.3f}\n", options.entries,
           (double)(now() - started) / SECOND);
}

/* Joins flows that nobody has open, one after another; a join's time ends with its whole reply. */
static void measure_loads(void)
{
    join_members(options.warm_members);
    settle();
    long memory_before = process_memory(options.server_pid);
    uint64_t bytes_before = totals.bytes;
    for (int i = 1; i <= options.members; i++) {
        join_members(options.warm_members + i);
        uint64_t took = (read_at - connections[options.warm_members + i - 1].join_sent) / 1000;
        samples[sample_count++] = (uint32_t)took;
    }
    uint64_t bytes = totals.bytes - bytes_before;
    settle();
    long memory_after = process_memory(options.server_pid);
    qsort(samples, sample_count, sizeof *samples, compare_samples);
    print_settings();
    printf(",\"load_p50_us\":%u,\"load_p90_us\":%u,\"load_max_us\":%u,\"bytes_per_flow\":%.0f,"
           "\"memory_before_kb\":%ld,\"memory_after_kb\":%ld,\"memory_kb_per_flow\":%.1f}\n",
           percentile(0.5), percentile(0.9), percentile(1), (double)bytes / options.members,
           memory_before, memory_after, (double)(memory_after - memory_before) / options.members);
}

/* What a connection costs: the first few stay open and out of account, for they pay for imports. */
static void measure_idle(void)
{
    join_members(options.warm_members);
    settle();
    long memory_before = process_memory(options.server_pid);
    uint64_t cpu_before = process_cpu(options.server_pid), started = now();
    join_members(options.warm_members + options.members);
    double join_seconds = (double)(now() - started) / SECOND;
    settle();
    double join_cpu_us = (process_cpu(options.server_pid) - cpu_before) / 1000.0;
    long memory_after = process_memory(options.server_pid);
    printf("{\"mode\":\"idle\",\"members\":%d,\"flows\":%d,\"warm_members\":%d,"
           "\"join_seconds\":%.3f,\"joins_per_second\":%.1f,\"join_cpu_us\":%.1f,"
           "\"memory_before_kb\":%ld,\"memory_after_kb\":%ld,"
           "\"memory_kb_per_connection\":%.2f}\n",
           options.members, flow_count, options.warm_members, join_seconds,
           options.members / join_seconds, join_cpu_us / options.members, memory_before, memory_after,
           (double)(memory_after - memory_before) / options.members);
}

/* A counter or gauge that the server publishes, 0 if it doesn't. */
static double metric(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line ? atof(line + strlen(name)) : 0;
}

/* What GET /metrics answers. */
static const char *scrape(void)
{
    static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
    static char answer[1 << 17];
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(options.ports[0]),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t length = 0;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) ||
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        die("scraping /metrics");
    for (ssize_t got; (got = recv(fd, answer + length, sizeof answer - 1 - length, 0)) > 0;)
        length += got;
    close(fd);
    answer[length] = 0;
    return answer;
}

struct lags {
    double count, within;
};

/* How often the server's reactor was looked at, and was less than 50 ms late. */
static struct lags lags_of(const char *metrics)
{
    return (struct lags){
        metric(metrics, "\nhelix_reactor_lag_seconds_count "),
        metric(metrics, "\nhelix_reactor_lag_seconds_bucket{le=\"0.05\"} "),
    };
}

/* Connects and joins again those whose time has come. */
static void come_back(void)
{
    uint64_t time = now();
    for (int i = 0; i < options.members; i++) {
        struct connection *connection = &connections[i];
        if (!connection->retry_at || connection->retry_at > time)
            continue;
        connection->retry_at = 0;
        if (connection->fd >= 0) {
            send_join(connection);
            continue;
        }
        connects++;
        connection->state = CONNECTING;
        open_connection(connection);
    }
}

/* Cuts all connections at once, and lets them come back. */
static void measure_storm(void)
{
    join_flows();
    settle();
    struct lags before = lags_of(scrape());
    uint64_t cpu_before = process_cpu(options.server_pid), started = now();
    storming = true;
    for (int i = 0; i < options.members; i++) {
        connections[i].makes_nodes = false;
        lose(&connections[i]);
    }
    uint64_t half = 0;
    while (joined < options.members) {
        come_back();
        handle_events(1);
        if (!half && joined >= options.members / 2)
            half = now() - started;
        if (now() - started > JOIN_TIMEOUT)
            fail("only %d of %d have joined again", joined, options.members);
    }
    double seconds = (double)(now() - started) / SECOND;
    double cpu_seconds = (double)(process_cpu(options.server_pid) - cpu_before) / SECOND;
    settle(); /* the server notes at its next look how late it was */
    const char *metrics = scrape();
    struct lags after = lags_of(metrics);
    print_settings();
    printf(",\"rejoin_seconds\":%.3f,\"half_rejoin_seconds\":%.3f,\"connects\":%lu,"
           "\"refused_joins\":%lu,\"server_cpu_seconds\":%.3f,\"looks\":%.0f,"
           "\"lags_over_50_ms\":%.0f,\"largest_lag_ms\":%.1f}\n",
           seconds, (double)half / SECOND, connects, refused_joins, cpu_seconds,
           after.count - before.count,
           after.count - after.within - (before.count - before.within),
           metric(metrics, "\nhelix_reactor_lag_max_seconds ") * 1000);
}

/* Lets each flow's sender push a change; returns how long it took until every member had all. */
static uint64_t tell_all(void)
{
    uint64_t started = now();
    most_sent++;
    for (int i = 0; i < sender_count; i++)
        fill_window(&senders[i]);
    come_to_rest();
    return now() - started;
}

/*
 * Kills the first node; its members come back to the others. The senders are on the second node, so
 * that what they push afterwards shows that all members of all flows hear it.
 */
static void measure_death(void)
{
    most_sent = 0;
    join_flows();
    settle();
    uint64_t told_before = tell_all();
    for (int i = 0; i < options.members; i++)
        connections[i].makes_nodes = false;
    int there = 0;
    for (int i = 0; i < options.members; i++)
        there += connections[i].node == 0;
    storming = true;
    uint64_t started = now(), half = 0;
    if (kill(options.server_pid, SIGKILL))
        die("kill");
    while (losses < (uint64_t)there || joined < options.members) {
        come_back();
        handle_events(1);
        if (losses >= (uint64_t)there && !half && joined >= options.members - there / 2)
            half = now() - started;
        if (now() - started > JOIN_TIMEOUT)
            fail("only %d of %d are back", joined, options.members);
    }
    uint64_t back = now() - started;
    uint64_t told = tell_all();
    print_settings();
    printf(",\"moved\":%d,\"half_back_seconds\":%.3f,\"back_seconds\":%.3f,"
           "\"told_before_ms\":%.1f,\"told_ms\":%.1f,\"connects\":%lu,\"refused_joins\":%lu}\n",
           there, (double)half / SECOND, (double)back / SECOND, told_before / 1e6, told / 1e6,
           connects, refused_joins);
}

/* ---- set-up ---- */

/* So long that no change that is outstanding is ever overwritten, unless the server drops one. */
static uint32_t ring_length(void)
{
    double rate = options.half ? HALF_MAX_RATE : options.mode == MODE_RATE ? options.rate : 0;
    double seconds = options.warm + options.duration + 1;
    if (options.stuck)
        seconds += options.stuck_bytes / (options.rate * options.size);
    double most = seconds * rate / sender_count + 2;
    return most > options.window ? (uint32_t)most : (uint32_t)options.window;
}

static void make_senders(void)
{
    sender_count = options.senders ? options.senders : flow_count;
    if (flow_count > 1 && sender_count != flow_count)
        fail("--senders is for one flow; several flows have one sender each");
    if (sender_count > options.members || sender_count > MAX_SENDERS)
        fail("too many senders: at most one a member, and %d", MAX_SENDERS);
    senders = allocate(sender_count, sizeof *senders);
    for (int i = 0; i < sender_count; i++) {
        struct sender *sender = &senders[i];
        sender->connection = flow_count > 1 ? i * options.group
                                            : (int)((long)i * options.members / sender_count);
        if (options.documents)
            sender->connection = flow_count > 1 ? i : sender->connection;
        if (options.mode == MODE_DEATH)
            sender->connection = flow_count + i; /* on the second node */
        int rest = options.members - connections[sender->connection].flow * options.group;
        sender->audience = (rest < options.group ? rest : options.group) + options.documents;
        connections[sender->connection].sender = sender;
        if (sender->connection >= options.members - options.stuck)
            fail("a sender can't be stuck: take fewer of either");
        sender->ring_length = ring_length();
        sender->ring = allocate(sender->ring_length, sizeof *sender->ring);
    }
}

/* Reads a token for each connection, a line each, in the base64url that a subprotocol has. */
static void read_tokens(int count)
{
    char line[MAX_TOKEN_BYTES + 2];
    FILE *file = fopen(options.tokens, "r");
    if (!file)
        die(options.tokens);
    tokens = allocate(count, sizeof *tokens);
    for (int i = 0; i < count; i++) {
        if (!fgets(line, sizeof line, file))
            fail("%d connections, but only %d tokens", count, i);
        line[strcspn(line, "\n")] = 0;
        tokens[i] = strdup(line);
        if (!tokens[i])
            die("strdup");
    }
    fclose(file);
}

static void set_up(void)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789 ABCDEFGHIJKLMNOP";
    int count = options.members + options.warm_members;
    int filler_length = options.size > MARKUP_BYTES ? options.size - MARKUP_BYTES : 1;
    if (!options.group)
        options.group = count;
    flow_count = (count + options.group - 1) / options.group;
    connections = allocate(count, sizeof *connections);
    if (options.documents && (count % options.group || count > MAX_CLIENTS))
        fail("in document mode all flows have --group members, and there are at most %d in all",
             MAX_CLIENTS);
    for (int i = 0; i < count; i++) {
        connections[i].flow = options.documents ? i % flow_count : i / options.group;
        connections[i].node = (options.documents ? i / flow_count : i) % options.port_count;
        connections[i].makes_nodes = options.documents && options.mode != MODE_LOAD &&
                                     options.mode != MODE_CURSORS && i < flow_count;
    }
    if (options.mode != MODE_IDLE && options.mode != MODE_LOAD && options.mode != MODE_STORM)
        make_senders();
    filler = allocate(filler_length + 1, 1);
    for (int i = 0; i < filler_length; i++)
        filler[i] = alphabet[(i * 7 + i / 13) % (sizeof alphabet - 1)];
    push_capacity = filler_length + 200;
    push_text = allocate(push_capacity, 1);
    sample_capacity = (size_t)((options.duration + 1) * SAMPLES_PER_SECOND);
    samples = allocate(sample_capacity, sizeof *samples);
    if (options.tokens)
        read_tokens(count);
    epoll_fd = epoll_create1(0);
    started_at = now();
}

static const char usage[] =
    "usage: wsgen --port PORT [options]\n"
    "\n"
    "Loads a server on 127.0.0.1 and prints one line of JSON.\n"
    "\n"
    "  --port PORT         where the server listens; given again, its other nodes: the members\n"
    "                      of each flow are on them in turn, and changes come from the first\n"
    "  --pid PID           the server's process, for CPU and memory (0 without it)\n"
    "  --beside PID        another process, and its children: what CPU a change takes of it, too;\n"
    "                      may be given again\n"
    "  --mode MODE         closed: the next change when every member has the last (default)\n"
    "                      pipelined: as closed, but with --window changes outstanding\n"
    "                      rate: --rate changes a second; latency counts from when each is due\n"
    "                      cursors: --rate cursors a second, in document mode; deliveries are\n"
    "                      cursors, latency is their age when a member has them\n"
    "                      idle: connect and join only: memory and CPU per connection\n"
    "                      fill: make the nodes of all flows, and --entries entries; no figures\n"
    "                      load: join flows that were filled before the server was started, one\n"
    "                      after another: the time of a join, and memory per flow\n"
    "                      storm: join, be cut off all at once, and come back as phoenix.js\n"
    "                      does: the time until all have joined, and how late the reactor was\n"
    "                      death: join, the first node is killed (--pid), and its members come\n"
    "                      back to the others: the time until all have, and hear of changes\n"
    "  --documents         document mode: patches that move nodes, and entries\n"
    "  --nodes N           of each flow, in document mode (default 100)\n"
    "  --entries N         to make besides, in the last flow, for fill (default 0)\n"
    "  --half              when done, measure once more, at half of the rate that was reached\n"
    "  --members N         connections, each a member of one flow (default 10)\n"
    "  --group N           members of each flow (default: all in one)\n"
    "  --senders N         senders in the one flow (default 1; several flows have one each)\n"
    "  --size BYTES        of a change (default 200)\n"
    "  --window N          for pipelined (default 64)\n"
    "  --rate N            changes or cursors a second in all, for rate and cursors\n"
    "  --stuck N           when done, measure once more while the last N members read nothing\n"
    "  --stuck-bytes N     sent to each of them before that (default 3 MiB)\n"
    "  --warm-members N    for idle and load: join first, stay, and are not counted (default 0)\n"
    "  --tokens FILE       with a token for each connection, a line each, in base64url: it shows\n"
    "                      the token as phoenix.js does, by a subprotocol\n"
    "  --warm SECONDS      of load before measuring (default 0.5)\n"
    "  --duration SECONDS  of measuring (default 3)\n"
    "  --help\n";

__attribute__((noreturn)) static void wrong_usage(void)
{
    fputs(usage, stderr);
    exit(2);
}

static enum mode read_mode(const char *name)
{
    for (int mode = MODE_CLOSED; mode <= MODE_DEATH; mode++)
        if (strcmp(name, mode_names[mode]) == 0)
            return mode;
    wrong_usage();
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},     {"pid", required_argument, NULL, 'i'},
        {"mode", required_argument, NULL, 'm'},     {"members", required_argument, NULL, 'n'},
        {"group", required_argument, NULL, 'g'},    {"senders", required_argument, NULL, 's'},
        {"size", required_argument, NULL, 'z'},     {"window", required_argument, NULL, 'w'},
        {"rate", required_argument, NULL, 'r'},     {"warm-members", required_argument, NULL, 'M'},
        {"warm", required_argument, NULL, 'W'},     {"duration", required_argument, NULL, 'd'},
        {"documents", no_argument, NULL, 'D'},      {"nodes", required_argument, NULL, 'N'},
        {"entries", required_argument, NULL, 'E'},  {"half", no_argument, NULL, 'H'},
        {"stuck", required_argument, NULL, 'S'},
        {"stuck-bytes", required_argument, NULL, 'B'},
        {"beside", required_argument, NULL, 'b'},
        {"tokens", required_argument, NULL, 'T'},   {"help", no_argument, NULL, 'h'},
        {0},
    };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'p':
            if (options.port_count == MAX_PORTS)
                wrong_usage();
            options.ports[options.port_count++] = atoi(optarg);
            break;
        case 'i': options.server_pid = atoi(optarg); break;
        case 'm': options.mode = read_mode(optarg); break;
        case 'n': options.members = atoi(optarg); break;
        case 'g': options.group = atoi(optarg); break;
        case 's': options.senders = atoi(optarg); break;
        case 'z': options.size = atoi(optarg); break;
        case 'w': options.window = atoi(optarg); break;
        case 'r': options.rate = atof(optarg); break;
        case 'M': options.warm_members = atoi(optarg); break;
        case 'W': options.warm = atof(optarg); break;
        case 'd': options.duration = atof(optarg); break;
        case 'D': options.documents = true; break;
        case 'N': options.nodes = atoi(optarg); break;
        case 'E': options.entries = atoi(optarg); break;
        case 'H': options.half = true; break;
        case 'S': options.stuck = atoi(optarg); break;
        case 'B': options.stuck_bytes = atol(optarg); break;
        case 'b':
            if (options.beside_count == MAX_BESIDE)
                wrong_usage();
            options.beside[options.beside_count++] = atoi(optarg);
            break;
        case 'T': options.tokens = optarg; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: wrong_usage();
        }
    }
    if (options.mode == MODE_CLOSED)
        options.window = 1;
    bool has_warm = options.mode == MODE_IDLE || options.mode == MODE_LOAD;
    bool is_document =
        options.mode == MODE_FILL || options.mode == MODE_LOAD || options.mode == MODE_CURSORS;
    bool is_closed = options.mode == MODE_CLOSED || options.mode == MODE_PIPELINED;
    if (options.nodes <= 0 || options.entries < 0 || (options.half && !is_closed) ||
        (is_document && !options.documents))
        wrong_usage();
    if (options.stuck < 0 || options.stuck >= options.members || options.stuck_bytes < 0 ||
        (options.stuck && (options.mode != MODE_RATE || options.group)))
        wrong_usage();
    if (options.mode == MODE_DEATH &&
        (options.port_count < 2 || options.group < 2 || !options.documents || !options.server_pid))
        wrong_usage();
    if (optind != argc || options.ports[0] <= 0 || options.members <= 0 || options.group < 0 ||
        options.senders < 0 || options.window <= 0 || options.warm_members < 0 ||
        (!has_warm && options.warm_members) || is_paced() != (options.rate > 0))
        wrong_usage();
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    raise_descriptor_limit();
    set_up();
    switch (options.mode) {
    case MODE_IDLE: measure_idle(); break;
    case MODE_FILL: fill_flows(); break;
    case MODE_LOAD: measure_loads(); break;
    case MODE_STORM: measure_storm(); break;
    case MODE_DEATH: measure_death(); break;
    default: measure_load();
    }
    return fflush(stdout) ? 1 : 0;
}
