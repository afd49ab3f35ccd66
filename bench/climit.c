/*
 * climit - the practical limit of one core: epoll, and one send() for each member.
 *
 *     climit PORT
 *
 * It speaks as much of relay mode as the load generator needs: phx_join, flow_change (told to every
 * member, the sender too) and heartbeat, on topics `flow:bench<number>`. It checks nothing, keeps
 * nothing and trusts its client: it is the ruler that servers are held against, not a server.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "websocket.h"

enum {
    MAX_CLIENTS = 65536,
    MAX_FLOWS = 65536,
    MAX_MESSAGE_BYTES = 1 << 20,
    MAX_EVENTS = 1024,
    BACKLOG = 4096,
    FIELDS = 4, /* join_ref, ref, topic, event: what stands before the payload */
};

struct client {
    bool upgraded;
    int flow;              /* the joined flow's number, or -1 */
    int position;          /* where this client stands among the flow's members */
    struct buffer in, out; /* an unfinished frame; what the peer has not taken yet */
};

struct flow {
    int *members; /* file descriptors */
    int count, capacity;
};

/* One element of a message's JSON array, as it stands in the text. */
struct field {
    const char *text;
    int length;
};

static struct client *clients[MAX_CLIENTS]; /* by file descriptor */
static struct flow flows[MAX_FLOWS];
static int epoll_fd;

static void watch(int fd, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll_fd, operation, fd, &event))
        die("epoll_ctl");
}

/* Sends at once what the peer takes; the rest waits until the socket is writable. */
static void send_bytes(int fd, const uint8_t *bytes, size_t length)
{
    struct client *client = clients[fd];
    bool waiting = buffer_length(&client->out) > 0;
    if (!waiting) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent == (ssize_t)length)
            return;
        if (sent < 0 && errno != EAGAIN)
            return; /* the peer is gone: epoll reports it, and the client is closed there */
        if (sent > 0) {
            bytes += sent;
            length -= sent;
        }
    }
    buffer_append(&client->out, bytes, length);
    if (!waiting)
        watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void flush_client(int fd)
{
    struct buffer *out = &clients[fd]->out;
    ssize_t sent =
        send(fd, out->bytes + out->start, buffer_length(out), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        buffer_consume(out, sent);
    if (buffer_length(out) == 0)
        watch(fd, EPOLL_CTL_MOD, EPOLLIN);
}

static void leave_flow(struct client *client)
{
    struct flow *flow = &flows[client->flow];
    int last = flow->members[--flow->count];
    flow->members[client->position] = last;
    clients[last]->position = client->position;
}

static void close_client(int fd)
{
    struct client *client = clients[fd];
    if (client->flow >= 0)
        leave_flow(client);
    close(fd);
    free(client->in.bytes);
    free(client->out.bytes);
    free(client);
    clients[fd] = NULL;
}

/* Frames a message; the result is valid until the next call. */
static const uint8_t *text_frame(const char *message, size_t length, size_t *frame_length)
{
    static uint8_t frame[MAX_HEADER_BYTES + MAX_MESSAGE_BYTES];
    size_t header = write_header(frame, OPCODE_TEXT, 0, length);
    memcpy(frame + header, message, length);
    *frame_length = header + length;
    return frame;
}

static void reply(int fd, struct field join_ref, struct field ref, struct field topic)
{
    char message[1024];
    int length = snprintf(
        message, sizeof message,
        "[%.*s,%.*s,%.*s,\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]", join_ref.length,
        join_ref.text, ref.length, ref.text, topic.length, topic.text);
    size_t frame_length;
    if (length >= (int)sizeof message)
        return;
    const uint8_t *frame = text_frame(message, length, &frame_length);
    send_bytes(fd, frame, frame_length);
}

static void join(int fd, struct field topic)
{
    static const char prefix[] = "\"flow:bench";
    struct client *client = clients[fd];
    int number = atoi(topic.text + sizeof prefix - 1);
    if (number < 0 || number >= MAX_FLOWS || client->flow >= 0)
        return;
    struct flow *flow = &flows[number];
    if (flow->count == flow->capacity) {
        flow->capacity = flow->capacity ? flow->capacity * 2 : 8;
        flow->members = realloc(flow->members, flow->capacity * sizeof *flow->members);
        if (!flow->members)
            die("realloc");
    }
    client->flow = number;
    client->position = flow->count;
    flow->members[flow->count++] = fd;
}

/* What is measured: one frame, one send() for each member. `rest` is the payload and the `]`. */
static void broadcast(struct client *client, struct field topic, struct field rest)
{
    static char message[MAX_MESSAGE_BYTES];
    if (client->flow < 0 || topic.length + rest.length + 64 > MAX_MESSAGE_BYTES)
        return;
    int length = sprintf(message, "[null,null,%.*s,\"flow_update\",", topic.length, topic.text);
    memcpy(message + length, rest.text, rest.length);
    size_t frame_length;
    const uint8_t *frame = text_frame(message, length + rest.length, &frame_length);
    const struct flow *flow = &flows[client->flow];
    for (int i = 0; i < flow->count; i++)
        send_bytes(flow->members[i], frame, frame_length);
}

static bool is_event(struct field field, const char *quoted_name)
{
    return field.length == (int)strlen(quoted_name) &&
           memcmp(field.text, quoted_name, field.length) == 0;
}

/* `[join_ref,ref,topic,event,payload]`, where no string before the payload holds a comma. */
static void on_text(int fd, const char *text, size_t length)
{
    const char *end = text + length, *position = text + 1;
    struct field fields[FIELDS];
    for (int i = 0; i < FIELDS; i++) {
        const char *comma = position < end ? memchr(position, ',', end - position) : NULL;
        if (!comma)
            return;
        fields[i] = (struct field){position, (int)(comma - position)};
        position = comma + 1;
    }
    struct field join_ref = fields[0], ref = fields[1], topic = fields[2], event = fields[3];
    if (is_event(event, "\"flow_change\"")) {
        broadcast(clients[fd], topic, (struct field){position, (int)(end - position)});
    } else if (is_event(event, "\"phx_join\"")) {
        join(fd, topic);
        reply(fd, join_ref, ref, topic);
    } else if (is_event(event, "\"heartbeat\"")) {
        reply(fd, join_ref, ref, topic);
    }
}

/* Answers the upgrade once its head is complete; returns how many bytes that took, or 0. */
static size_t upgrade(int fd, const uint8_t *bytes, size_t length)
{
    static const char response[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n\r\n";
    const uint8_t *head_end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!head_end)
        return 0;
    clients[fd]->upgraded = true;
    send_bytes(fd, (const uint8_t *)response, sizeof response - 1);
    return head_end + 4 - bytes;
}

/* Handles the frames that are complete, and returns how many bytes they took. */
static size_t take_frames(int fd, uint8_t *bytes, size_t length)
{
    size_t taken = 0;
    while (length - taken >= 2) {
        uint8_t *frame = bytes + taken;
        size_t header = 2 + extended_length_bytes(frame[1]) + MASK_BYTES;
        if (length - taken < header)
            break;
        uint64_t payload = payload_length(frame);
        if (length - taken - header < payload)
            break;
        if ((frame[0] & 0x0f) == OPCODE_TEXT) {
            apply_mask(frame + header, frame + header, payload, frame + header - MASK_BYTES);
            on_text(fd, (const char *)frame + header, payload);
        }
        taken += header + payload;
    }
    return taken;
}

/* Reads once; parses in place, and keeps only what is not complete yet. */
static void read_client(int fd)
{
    static uint8_t fresh[1 << 20];
    struct client *client = clients[fd];
    ssize_t received = recv(fd, fresh, sizeof fresh, MSG_DONTWAIT);
    if (received <= 0) {
        if (received == 0 || errno != EAGAIN)
            close_client(fd);
        return;
    }
    uint8_t *bytes = fresh;
    size_t length = received, taken = 0;
    bool kept = buffer_length(&client->in) > 0;
    if (kept) {
        buffer_append(&client->in, fresh, received);
        bytes = client->in.bytes + client->in.start;
        length = buffer_length(&client->in);
    }
    if (!client->upgraded)
        taken = upgrade(fd, bytes, length);
    if (client->upgraded)
        taken += take_frames(fd, bytes + taken, length - taken);
    if (kept)
        buffer_consume(&client->in, taken);
    else if (taken < length)
        buffer_append(&client->in, bytes + taken, length - taken);
}

static void accept_client(int listener)
{
    int one = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return;
    if (fd >= MAX_CLIENTS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    clients[fd] = calloc(1, sizeof *clients[fd]);
    if (!clients[fd])
        die("calloc");
    clients[fd]->flow = -1;
    watch(fd, EPOLL_CTL_ADD, EPOLLIN);
}

static int listen_on(int port)
{
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, BACKLOG))
        die("listen");
    return listener;
}

int main(int argc, char **argv)
{
    if (argc != 2 || atoi(argv[1]) <= 0) {
        fprintf(stderr, "usage: climit PORT\n");
        return 2;
    }
    raise_descriptor_limit();
    int listener = listen_on(atoi(argv[1]));
    epoll_fd = epoll_create1(0);
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int count = epoll_wait(epoll_fd, events, MAX_EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_client(listener);
                continue;
            }
            if (events[i].events & EPOLLOUT)
                flush_client(fd);
            if (events[i].events & ~EPOLLOUT)
                read_client(fd);
        }
    }
}
