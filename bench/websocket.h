/* What the load generator and the limit share: WebSocket frames (RFC 6455, section 5.2). */
#ifndef BENCH_WEBSOCKET_H
#define BENCH_WEBSOCKET_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { OPCODE_TEXT = 1, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };

enum {
    FINAL_BIT = 0x80,
    MASK_BIT = 0x80,
    MASK_BYTES = 4,
    MAX_HEADER_BYTES = 14,
};

/* The key is always the sample of RFC 6455, section 1.3, so the answer to it is always the same. */
#define SAMPLE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define SAMPLE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static inline void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Big-endian number of `count` bytes. */
static inline uint64_t read_number(const uint8_t *bytes, int count)
{
    uint64_t number = 0;
    for (int i = 0; i < count; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* How many bytes of length follow the first two bytes of a header, given the second of them. */
static inline int extended_length_bytes(uint8_t second)
{
    int length = second & 0x7f;
    return length == 126 ? 2 : length == 127 ? 8 : 0;
}

/* The payload's length, from a header of which the extended length has arrived. */
static inline uint64_t payload_length(const uint8_t *header)
{
    int extended = extended_length_bytes(header[1]);
    return extended ? read_number(header + 2, extended) : (uint64_t)(header[1] & 0x7f);
}

/* Writes the header of an unfragmented frame; returns how long it is, without a mask. */
static inline size_t write_header(uint8_t *out, int opcode, uint8_t mask_bit, uint64_t length)
{
    int extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
    out[0] = FINAL_BIT | opcode;
    out[1] = mask_bit | (extended == 0 ? (uint8_t)length : extended == 2 ? 126 : 127);
    for (int i = 0; i < extended; i++)
        out[2 + i] = (uint8_t)(length >> 8 * (extended - 1 - i));
    return 2 + extended;
}

/* Masks or unmasks: `out` may be `in`. */
static inline void apply_mask(uint8_t *out, const uint8_t *in, size_t length, const uint8_t *mask)
{
    uint32_t mask_word, word;
    size_t i = 0;
    memcpy(&mask_word, mask, sizeof mask_word);
    for (; i + sizeof word <= length; i += sizeof word) {
        memcpy(&word, in + i, sizeof word);
        word ^= mask_word;
        memcpy(out + i, &word, sizeof word);
    }
    for (; i < length; i++)
        out[i] = in[i] ^ mask[i % MASK_BYTES];
}

/* Bytes that wait for the rest of a frame, or for the peer to take them. */
struct buffer {
    uint8_t *bytes;
    size_t start, end, capacity;
};

static inline size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Makes room for `length` more bytes and returns where they go; the caller moves `end`. */
static inline uint8_t *buffer_reserve(struct buffer *buffer, size_t length)
{
    if (buffer->end + length > buffer->capacity && buffer->start > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->start, buffer_length(buffer));
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    if (buffer->end + length > buffer->capacity) {
        buffer->capacity = (buffer->end + length) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->capacity);
        if (!buffer->bytes)
            die("realloc");
    }
    return buffer->bytes + buffer->end;
}

/* Marks `length` bytes at the start as done with. */
static inline void buffer_consume(struct buffer *buffer, size_t length)
{
    buffer->start += length;
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
}

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    memcpy(buffer_reserve(buffer, length), bytes, length);
    buffer->end += length;
}

/* As many sockets as the system allows this process. */
static inline void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        die("setrlimit");
}

#endif
