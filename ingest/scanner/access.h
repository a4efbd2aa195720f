/* Access lines of nginx and Apache: the predefined combined format, and the extended one of our docs.
 *
 * What they mean is said in ingest/parsers/access.py and access_line.py.
 */

#ifndef DRAINLAKE_ACCESS_H
#define DRAINLAKE_ACCESS_H

#include <math.h>

#include "keyvalue.h"
#include "router.h"
#include "rows.h"
#include "times.h"

enum {
    A_DYNO,
    A_CLIENT_IP,
    A_METHOD,
    A_PATH,
    A_PROTOCOL,
    A_REFERRER,
    A_USER_AGENT,
    A_REQUEST_ID,
    A_CONTENT_TYPE,
    A_CONTENT_ENCODING,
    A_ACCEPT_ENCODING,
    ACCESS_TEXTS
};
enum { A_LOGGED_AT, A_STATUS, A_BYTES, A_REQUEST_MS, A_UPSTREAM_MS, A_GZIP_RATIO, ACCESS_NUMBERS };

enum { VERSION_MAX_BYTES = 5, METHOD_MAX_BYTES = 16 };

static const char EXTENDED[] = "nginx_access v=1 ";

static inline bool is_dash(const Octet *begin, const Octet *end) { return end - begin == 1 && *begin == '-'; }

/* A field in which `-` stands for nothing. */
static inline Span present(const Octet *text, const Octet *begin, const Octet *end) {
    return is_dash(begin, end) || !begin ? (Span){0, 0} : span(text, (Value){begin, end});
}

/* `METHOD path PROTOCOL`; a path may hold raw blanks, so the first and the last blank count. A lone `-` is for the
 * general way: it is a path like any other here, but stands for nothing elsewhere. */
static bool read_request(const Octet *text, const Octet *begin, const Octet *end, Rows *rows) {
    const Octet *first = find(begin, end, ' '), *last = end;
    if (!first || first == begin || first - begin > METHOD_MAX_BYTES) return false;
    while (last[-1] != ' ')
        last--;
    last--;
    if (first + 1 >= last || !starts_with(last + 1, end, "HTTP/", 5)) return false;
    const Octet *version = last + 6;
    if (version == end || end - version > VERSION_MAX_BYTES) return false;
    for (; version < end; version++)
        if (!is_digit(*version) && *version != '.') return false;
    for (const Octet *at = begin; at < first; at++)
        if ((*at < 'A' || *at > 'Z') && *at != '-' && *at != '_') return false;
    if (is_dash(begin, first) || is_dash(first + 1, last)) return false;
    int64_t row = rows->count;
    rows->texts[A_METHOD][row] = span(text, (Value){begin, first});
    rows->texts[A_PATH][row] = span(text, (Value){first + 1, last});
    rows->texts[A_PROTOCOL][row] = span(text, (Value){last + 1, end});
    return true;
}

/* Behind address, identity and user, `[`; NULL where it does not stand there. */
static const Octet *find_bracket(const Octet *at, const Octet *end, const Octet **address_end) {
    *address_end = NULL;
    for (int field = 0; field < 3; field++) {
        const Octet *blank = find(at, end, ' ');
        if (!blank || blank == at) return NULL;
        if (!*address_end) *address_end = blank;
        at = blank + 1;
    }
    return end - at >= CLF_BYTES + 4 && *at == '[' && !memcmp(at + 1 + CLF_BYTES, "] \"", 3) ? at : NULL;
}

/* Whether the table access could have the line: a sieve, which lets some through that it has not. */
static bool may_be_access(const Octet *at, const Octet *end) {
    const Octet *address_end;
    return starts_with(at, end, EXTENDED, sizeof EXTENDED - 1) || find_bracket(at, end, &address_end);
}

/* ADDRESS - USER [TIME] "REQUEST" STATUS SIZE "REFERRER" "AGENT, whose last quote Heroku's buildpack strips. */
static bool read_combined(const Octet *text, const Octet *at, const Octet *end, Rows *rows) {
    const Octet *address_end, *bracket = find_bracket(at, end, &address_end);
    if (!bracket || find(at, bracket, '"') || !is_ascii(at, bracket)) return false;
    int64_t logged_at_us = clf_us(bracket + 1);
    const Octet *request = bracket + CLF_BYTES + 4, *request_end = find(request, end, '"');
    if (logged_at_us == NO_TIME || !request_end || end - request_end < 7 || request_end[1] != ' ') return false;
    int status = digits(request_end + 2, 3);
    const Octet *size = request_end + 6, *size_end = find(size, end, ' ');
    if (status < 0 || request_end[5] != ' ' || !size_end || end - size_end < 2 || size_end[1] != '"') return false;
    int64_t bytes = is_dash(size, size_end) ? NULL_NUMBER : whole(size, size_end);
    const Octet *referrer = size_end + 2, *referrer_end = find(referrer, end, '"');
    if (bytes == -1 || !referrer_end || !starts_with(referrer_end, end, "\" \"", 3)) return false;
    const Octet *agent = referrer_end + 3, *agent_end = find(agent, end, '"');
    if (!agent_end)
        agent_end = end;
    else if (agent_end != end - 1)
        return false;
    if (!read_request(text, request, request_end, rows)) return false;
    int64_t row = rows->count;
    rows->texts[A_CLIENT_IP][row] = present(text, at, address_end);
    rows->texts[A_REFERRER][row] = present(text, referrer, referrer_end);
    rows->texts[A_USER_AGENT][row] = present(text, agent, agent_end);
    for (int i = A_REQUEST_ID; i < ACCESS_TEXTS; i++)
        rows->texts[i][row] = (Span){0, 0};
    rows->numbers[A_LOGGED_AT][row] = logged_at_us;
    rows->numbers[A_STATUS][row] = status;
    rows->numbers[A_BYTES][row] = bytes;
    for (int i = A_REQUEST_MS; i < ACCESS_NUMBERS; i++)
        rows->numbers[i][row] = NULL_NUMBER;
    return true;
}

/* In the order of our log format. */
enum {
    X_V,
    X_TS,
    X_REQUEST_ID,
    X_METHOD,
    X_URI,
    X_STATUS,
    X_BYTES_SENT,
    X_BODY_BYTES_SENT,
    X_CONTENT_TYPE,
    X_CONTENT_ENCODING,
    X_GZIP_RATIO,
    X_ACCEPT_ENCODING,
    X_REQUEST_LENGTH,
    X_REQUEST_TIME,
    X_UPSTREAM_TIME,
    X_XFF,
    X_REFERER,
    X_UA,
    X_END,
    EXTENDED_KEYS_COUNT
};
static const Key EXTENDED_KEYS[] = {
    KEY("v"),
    KEY("ts"),
    KEY("request_id"),
    KEY("method"),
    KEY("uri"),
    KEY("status"),
    KEY("bytes_sent"),
    KEY("body_bytes_sent"),
    KEY("content_type"),
    KEY("content_encoding"),
    KEY("gzip_ratio"),
    KEY("accept_encoding"),
    KEY("request_length"),
    KEY("request_time"),
    KEY("upstream_time"),
    KEY("xff"),
    KEY("referer"),
    KEY("ua"),
    KEY("end"),
};
static const Octet EXTENDED_FOLLOWING[EXTENDED_KEYS_COUNT];
static const struct {
    Octet column, key;
} EXTENDED_TEXT_KEYS[] = {
    {A_CLIENT_IP, X_XFF},
    {A_METHOD, X_METHOD},
    {A_PATH, X_URI},
    {A_REFERRER, X_REFERER},
    {A_USER_AGENT, X_UA},
    {A_REQUEST_ID, X_REQUEST_ID},
    {A_CONTENT_TYPE, X_CONTENT_TYPE},
    {A_CONTENT_ENCODING, X_CONTENT_ENCODING},
    {A_ACCEPT_ENCODING, X_ACCEPT_ENCODING},
};
/* Column and key, what one unit of the key is in units of the column, and the largest value of the key. */
static const struct {
    Octet key;
    bool has_fraction;
    double scale, largest;
} EXTENDED_NUMBER_KEYS[ACCESS_NUMBERS] = {
    [A_LOGGED_AT] = {X_TS, true, 1e6, 1e10},
    [A_STATUS] = {X_STATUS, false, 1, INT16_MAX},
    [A_BYTES] = {X_BODY_BYTES_SENT, false, 1, 1e15},
    [A_REQUEST_MS] = {X_REQUEST_TIME, true, 1e3, 1e6},
    [A_UPSTREAM_MS] = {X_UPSTREAM_TIME, true, 1e3, 1e6},
    [A_GZIP_RATIO] = {X_GZIP_RATIO, true, 1, 1e9},
};

/* A number of up to 15 digits, which are exact in a double, or -1. Where there may be a fraction, 12 digits may stand
 * before and 6 behind the dot: the general way takes no more of seconds, and cuts the fraction of a time off there. */
static double decimal(const Octet *at, const Octet *end, bool may_have_fraction) {
    const Octet *dot = find(at, end, '.');
    if (!dot) return end - at <= (may_have_fraction ? 12 : 15) ? (double)whole(at, end) : -1;
    if (!may_have_fraction || dot - at > 12 || end - dot > 7 || end - at > 16) return -1;
    int64_t before = whole(at, dot), after = whole(dot + 1, end);
    if (before < 0 || after < 0) return -1;
    double scale = POWERS[end - dot - 1];
    return ((double)before * scale + (double)after) / scale;
}

static bool read_extended_numbers(const Value *values, Rows *rows) {
    for (int column = 0; column < ACCESS_NUMBERS; column++) {
        Value value = values[EXTENDED_NUMBER_KEYS[column].key];
        int64_t *number = &rows->numbers[column][rows->count];
        *number = NULL_NUMBER;
        if (!has_value(value) || is_dash(value.begin, value.end)) continue;
        double read = decimal(value.begin, value.end, EXTENDED_NUMBER_KEYS[column].has_fraction);
        if (read < 0 || read > EXTENDED_NUMBER_KEYS[column].largest) return false;
        if (column == A_GZIP_RATIO)
            memcpy(number, &read, sizeof read);
        else
            *number = (int64_t)floor(read * EXTENDED_NUMBER_KEYS[column].scale + 0.5);
    }
    return true;
}

static bool read_extended(const Octet *text, const Octet *at, const Octet *end, Rows *rows) {
    Value values[EXTENDED_KEYS_COUNT];
    at += sizeof "nginx_access";
    if (!read_pairs(at, end, EXTENDED_KEYS, EXTENDED_FOLLOWING, EXTENDED_KEYS_COUNT, values)) return false;
    const Value client = values[X_XFF];
    if (find(client.begin, client.end, ',') || find(client.begin, client.end, ' ')) return false;
    if (!is_ascii(client.begin, client.end) || !read_extended_numbers(values, rows)) return false;
    int64_t row = rows->count;
    rows->texts[A_PROTOCOL][row] = (Span){0, 0};
    for (size_t i = 0; i < sizeof EXTENDED_TEXT_KEYS / sizeof *EXTENDED_TEXT_KEYS; i++) {
        Value value = values[EXTENDED_TEXT_KEYS[i].key];
        rows->texts[EXTENDED_TEXT_KEYS[i].column][row] = present(text, value.begin, value.end);
    }
    return true;
}

/* Read a dyno's message into the next row; whether it could be. */
static bool read_access(const Octet *text, const Octet *at, const Octet *end, Rows *rows) {
    if (starts_with(at, end, EXTENDED, sizeof EXTENDED - 1)) return read_extended(text, at, end, rows);
    return read_combined(text, at, end, rows);
}

#endif
