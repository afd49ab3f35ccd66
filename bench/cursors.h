/*
 * Finds the cursors in what a member in document mode is sent, without parsing it: each has an "x",
 * which tells when it was pushed. A frame may come in any parts.
 */
#ifndef BENCH_CURSORS_H
#define BENCH_CURSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define X_KEY "\"x\":"

typedef void cursor_found(uint64_t x);

/* Where the frame that is being read stands: within the key, or within the number behind it. */
struct cursor_scanner {
    uint8_t matched;
    bool in_number;
    uint64_t number;
};

/* Takes the next part of a frame. Of a number what stands before the point counts. */
static inline void scan_cursors(struct cursor_scanner *scanner, const uint8_t *bytes, size_t length,
                                cursor_found *found)
{
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = bytes[i];
        if (scanner->in_number) {
            if (byte >= '0' && byte <= '9') {
                scanner->number = scanner->number * 10 + (byte - '0');
                continue;
            }
            scanner->in_number = false;
            found(scanner->number);
        }
        if (byte != X_KEY[scanner->matched]) {
            scanner->matched = byte == X_KEY[0];
        } else if (++scanner->matched == sizeof X_KEY - 1) {
            *scanner = (struct cursor_scanner){.in_number = true};
        }
    }
}

#endif
