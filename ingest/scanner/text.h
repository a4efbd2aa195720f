/* The bytes of a batch, places in them, and a first look at a message: may the fast way read it at all? */

#ifndef DRAINLAKE_TEXT_H
#define DRAINLAKE_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Zeros follow the text, so reading up to so many bytes behind any place in it stays within the allocation. */
enum { PADDING = 64, NAME_MAX_BYTES = 64, WORDS_MAX = 64, ENCODINGS_MAX = 3 };

typedef uint8_t Octet;

/* A field: where it begins in the text, and its length. A length of 0 is NULL in a column. */
typedef struct {
    int32_t start, length;
} Span;

/* What was found in a message. BROKEN is what is not UTF-8, SUSPECT what may be a secret. */
enum { CONTROL = 1, BACKSLASH = 2, FOREIGN = 4, BROKEN = 8, SUSPECT = 16, AT = 32, DELIMITER = 64, ENCODED = 128 };

static Octet CLASS[256];
static bool ENDS_NAME[256];
static uint64_t WORDS_BY_FIRST[256]; /* which words of secrets begin with a letter, as bits */
static const char *PARTS[WORDS_MAX];
static size_t PART_LENGTHS[WORDS_MAX];
static int PARTS_COUNT;
static const char *NAMES[WORDS_MAX];
static int NAMES_COUNT;

/* Whole numbers of up to 15 digits divided by these are the nearest doubles. */
static const double POWERS[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static inline bool is_digit(Octet octet) { return (Octet)(octet - '0') <= 9; }

static inline bool is_letter(Octet octet) { return (Octet)((octet | 0x20) - 'a') < 26; }

static inline Octet lower(Octet octet) { return (Octet)(octet - 'A') < 26 ? octet | 0x20 : octet; }

static bool is_word(const Octet *at, const char *word, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (lower(at[i]) != (Octet)word[i]) return false;
    return true;
}

/* Whether a parameter's name looks like that of a secret; some that are none do, too. Letters that are not ASCII are
 * suspect: two of them have a lower case that is. */
static bool is_secret(const Octet *name, size_t length) {
    for (size_t at = 0; at < length; at++)
        if (name[at] > 127) return true;
    for (int i = 0; i < NAMES_COUNT; i++)
        if (strlen(NAMES[i]) == length && is_word(name, NAMES[i], length)) return true;
    for (size_t at = 0; at < length; at++)
        for (uint64_t words = WORDS_BY_FIRST[lower(name[at])]; words; words &= words - 1) {
            int word = __builtin_ctzll(words);
            if (PART_LENGTHS[word] <= length - at && is_word(name + at, PARTS[word], PART_LENGTHS[word])) return true;
        }
    return false;
}

/* Whether a parameter with a secret's name begins here, behind its `?`, `&` or `;`. */
static bool begins_secret(const Octet *name, const Octet *end) {
    const Octet *at = name;
    while (at < end && !ENDS_NAME[*at])
        at++;
    return at < end && *at == '=' && (at - name > NAME_MAX_BYTES || is_secret(name, (size_t)(at - name)));
}

/* Where the digits end of a delimiter of a query string that is percent-encoded here, up to ENCODINGS_MAX times over;
 * NULL where there is none. */
static const Octet *encoded_delimiter(const Octet *at, const Octet *end) {
    at++;
    for (int more = 1; more < ENCODINGS_MAX && end - at > 2 && at[0] == '2' && at[1] == '5'; more++)
        at += 2;
    if (end - at < 2) return NULL;
    Octet second = lower(at[1]);
    if (at[0] == '3') return second == 'd' || second == 'f' || second == 'b' ? at + 2 : NULL;
    return at[0] == '2' && (second == '6' || second == '3') ? at + 2 : NULL;
}

/* Whether a delimiter is encoded at this `%` and begins or ends a name that looks like a secret's. A name may begin
 * behind a `=`, too: a query string can be the value of another. None reaches over `floor`, the end of the encoded
 * delimiter before. Long ones are read: a value in Base64 ends in `%3D`. Out of line, since the loop of `look`, which
 * sees every byte, is quicker without it. */
static __attribute__((noinline)) bool nests_secret(const Octet **floor, const Octet *at, const Octet *end) {
    const Octet *name = at, *behind = encoded_delimiter(at, end), *stop = behind, *begin = *floor;
    if (!behind) return false;
    *floor = behind;
    if (lower(behind[-1]) == 'd') {
        while (name > begin && !ENDS_NAME[name[-1]])
            name--;
        return is_secret(name, (size_t)(at - name));
    }
    while (stop < end && !ENDS_NAME[*stop] && !(*stop == '%' && encoded_delimiter(stop, end)))
        stop++;
    return stop < end && *stop == '=' && is_secret(behind, (size_t)(stop - behind));
}

/* Whether a URL's password can end at this `@`: only then do no `/`, `?`, `#`, `"` or blank stand behind its `://`. */
static bool ends_password(const Octet *begin, const Octet *at) {
    while (at > begin && at[-1] != '/' && at[-1] != '?' && at[-1] != '#' && at[-1] != '"' && at[-1] != ' ')
        at--;
    return at - begin >= 3 && at[-1] == '/' && at[-2] == '/' && at[-3] == ':';
}

/* Bytes of the UTF-8 sequence at a place, 0 where there is none (RFC 3629: nothing overlong, no surrogates). */
static int utf8_length(const Octet *at, const Octet *end) {
    Octet first = at[0];
    int length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (!length || end - at < length) return 0;
    Octet low = first == 0xE0   ? 0xA0
                : first == 0xF0 ? 0x90
                                : 0x80,
          high = first == 0xED   ? 0x9F
                 : first == 0xF4 ? 0x8F
                                 : 0xBF;
    if (at[1] < low || at[1] > high) return 0;
    for (int i = 2; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    return length;
}

static bool is_ascii(const Octet *at, const Octet *end) {
    for (; at < end; at++)
        if (*at > 127) return false;
    return true;
}

/* A second `@` is suspect unread: looking back from each of many would be quadratic in a line that anybody can send. */
static unsigned look(const Octet *begin, const Octet *end) {
    unsigned found = 0;
    const Octet *floor = begin;
    for (const Octet *at = begin; at < end; at++) {
        unsigned class = CLASS[*at];
        if (!class) continue;
        if (class == DELIMITER)
            class = begins_secret(at + 1, end) ? SUSPECT : 0;
        else if (class == AT)
            class = (found & AT) || ends_password(begin, at) ? SUSPECT | AT : AT;
        else if (class == FOREIGN) {
            int length = utf8_length(at, end);
            if (!length) return found | BROKEN;
            at += length - 1;
        } else if (class == ENCODED)
            class = nests_secret(&floor, at, end) ? SUSPECT : 0;
        found |= class;
    }
    return found;
}

static inline bool equals(const Octet *at, const Octet *end, const char *literal, size_t length) {
    return (size_t)(end - at) == length && !memcmp(at, literal, length);
}

/* Where a value stands: NULL if it is absent, begin == end if it is empty. */
typedef struct {
    const Octet *begin, *end;
} Value;

static inline Span span(const Octet *text, Value value) {
    return (Span){value.begin ? (int32_t)(value.begin - text) : 0, (int32_t)(value.end - value.begin)};
}

static inline const Octet *find(const Octet *at, const Octet *end, Octet octet) {
    return at < end ? memchr(at, octet, (size_t)(end - at)) : NULL;
}

static inline bool starts_with(const Octet *at, const Octet *end, const char *literal, size_t length) {
    return (size_t)(end - at) >= length && !memcmp(at, literal, length);
}

/* A decimal number of 1 to 18 digits that fills the range, or -1. */
static inline int64_t whole(const Octet *at, const Octet *end) {
    if (at == end || end - at > 18) return -1;
    int64_t value = 0;
    for (; at < end; at++) {
        if (!is_digit(*at)) return -1;
        value = value * 10 + (*at - '0');
    }
    return value;
}

static void set_up_text(const char *parts, const char *names) {
    for (int octet = 0; octet < 256; octet++) {
        CLASS[octet] = octet < ' ' || octet == 127 ? CONTROL : octet > 127 ? FOREIGN : 0;
        ENDS_NAME[octet] = false;
    }
    CLASS['\\'] = BACKSLASH;
    CLASS['@'] = AT;
    CLASS['%'] = ENCODED;
    CLASS['?'] = CLASS['&'] = CLASS[';'] = DELIMITER;
    for (const char *octet = "=?&;# \""; *octet; octet++)
        ENDS_NAME[(Octet)*octet] = true;
    for (PARTS_COUNT = 0; *parts && PARTS_COUNT < WORDS_MAX; parts += strlen(parts) + 1, PARTS_COUNT++) {
        PARTS[PARTS_COUNT] = parts;
        PART_LENGTHS[PARTS_COUNT] = strlen(parts);
        WORDS_BY_FIRST[(Octet)*parts] |= 1ull << PARTS_COUNT;
    }
    for (NAMES_COUNT = 0; *names && NAMES_COUNT < WORDS_MAX; names += strlen(names) + 1)
        NAMES[NAMES_COUNT++] = names;
}

#endif
