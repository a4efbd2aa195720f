/* `key=value` lines with known keys: one span per key, or a refusal of the whole line.
 *
 * A line is taken only if it consists of nothing but known keys, each at most once, with single blanks between them and
 * quotes only around whole values. Whatever else a client can bring into a line is refused here and read in full
 * generality elsewhere, so text of a client can make a line slow, never wrong.
 */

#ifndef DRAINLAKE_KEYVALUE_H
#define DRAINLAKE_KEYVALUE_H

#include "text.h"

typedef struct {
    const char *name;
    int length;
} Key;

#define KEY(text) {text, sizeof(text) - 1}

static inline bool has_value(Value value) { return value.begin != value.end; }

static inline bool is_key(const Key *key, const Octet *at, long length) {
    return key->length == length && !memcmp(key->name, at, (size_t)length);
}

/* The number of a key, or -1. Lines name their keys in one order nearly always: the one behind the last is tried first.
 */
static inline int find_key(const Key *keys, int count, int expected, const Octet *at, long length) {
    for (int ahead = 0; ahead < count; ahead++) {
        int number = expected + ahead < count ? expected + ahead : expected + ahead - count;
        if (is_key(&keys[number], at, length)) return number;
    }
    return -1;
}

/* `following[key]`, if not 0, is the key that has to come right behind `key`, even if its value is empty: text of a
 * client could else end its value early and bring keys of its own. For the same reason no quoted value begins with a
 * blank: `agent=" host=` can be the end of a client's path. */
static bool
read_pairs(const Octet *at, const Octet *end, const Key *keys, const Octet *following, int count, Value *values) {
    memset(values, 0, sizeof(Value) * (size_t)count);
    int expected = 0, demanded = -1;
    if (at == end) return false;
    for (;;) {
        const Octet *name = at;
        while (at < end && *at != '=' && *at != ' ' && *at != '"')
            at++;
        if (at == end || *at != '=') return false;
        int key = find_key(keys, count, expected < count ? expected : 0, name, at - name);
        if (key < 0 || values[key].begin || (demanded >= 0 && key != demanded)) return false;
        Value *value = &values[key];
        value->begin = ++at;
        if (at < end && *at == '"') {
            value->begin = ++at;
            if (at < end && *at == ' ') return false;
            while (at < end && *at != '"')
                at++;
            if (at == end) return false;
            value->end = at++;
        } else {
            while (at < end && *at != ' ' && *at != '"')
                at++;
            value->end = at;
        }
        demanded = following[key] ? following[key] : -1;
        expected = key + 1;
        if (at == end) return demanded < 0;
        if (*at++ != ' ') return false;
    }
}

#endif
