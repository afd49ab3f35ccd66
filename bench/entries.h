/*
 * Finds the entries in what a member in document mode is sent, without parsing it.
 *
 * Whose an entry is, its op_id tells: OP_START, the client's number, and the operation's, with
 * leading zeros, so that all have the same length. (What clients call themselves nobody is told.)
 * What doesn't look so is passed over.
 */
#ifndef BENCH_ENTRIES_H
#define BENCH_ENTRIES_H

#include <stdint.h>
#include <string.h>

#define OP_START "1"
#define OP_KEY "\"op_id\":" OP_START

enum {
    CLIENT_DIGITS = 4,
    OP_DIGITS = 8,
    CLIENT_AT = sizeof OP_KEY - 1,
    OP_AT = CLIENT_AT + CLIENT_DIGITS,
    NAME_BYTES = OP_AT + OP_DIGITS + 1, /* with the comma behind it */
    MAX_CLIENTS = 10000, /* what CLIENT_DIGITS can tell apart */
};

typedef void entry_found(uint32_t client, uint32_t operation);

/* The end of what a frame has shown, where a name may have begun. */
struct entry_scanner {
    uint8_t length;
    uint8_t bytes[2 * NAME_BYTES];
};

/* -1 where these aren't digits. */
static inline int64_t read_decimal(const uint8_t *text, int count)
{
    int64_t number = 0;
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

static inline void read_name(const uint8_t *name, entry_found *found)
{
    int64_t client = read_decimal(name + CLIENT_AT, CLIENT_DIGITS);
    int64_t operation = read_decimal(name + OP_AT, OP_DIGITS);
    if (client >= 0 && operation >= 0 && name[NAME_BYTES - 1] == ',')
        found((uint32_t)client, (uint32_t)operation);
}

/* Calls `found` for the names that begin in the first `starts` bytes and are whole. */
static inline void find_names(const uint8_t *bytes, size_t length, size_t starts,
                              entry_found *found)
{
    const uint8_t *at = bytes, *end = bytes + length;
    while ((at = memmem(at, end - at, OP_KEY, sizeof OP_KEY - 1))) {
        if (at >= bytes + starts || (size_t)(end - at) < NAME_BYTES)
            return;
        read_name(at, found);
        at += sizeof OP_KEY - 1;
    }
}

/* Takes the next part of a frame. */
static inline void scan_entries(struct entry_scanner *scanner, const uint8_t *bytes, size_t length,
                                entry_found *found)
{
    const size_t most = NAME_BYTES - 1; /* what a name that isn't whole may have */
    size_t kept = scanner->length, more = length < most ? length : most;
    if (kept) {
        memcpy(scanner->bytes + kept, bytes, more);
        find_names(scanner->bytes, kept + more, kept, found);
    }
    find_names(bytes, length, length, found);
    if (length < most) {
        if (!kept)
            memcpy(scanner->bytes, bytes, more);
        size_t whole = kept + more, dropped = whole > most ? whole - most : 0;
        memmove(scanner->bytes, scanner->bytes + dropped, whole - dropped);
        scanner->length = whole - dropped;
    } else {
        memcpy(scanner->bytes, bytes + length - most, most);
        scanner->length = most;
    }
}

#endif
