/* Lines of the Heroku router. What they mean is said in ingest/parsers/router_line.py. */

#ifndef DRAINLAKE_ROUTER_H
#define DRAINLAKE_ROUTER_H

#include "keyvalue.h"
#include "rows.h"

enum {
    LEVEL, CODE, DESCRIPTION, METHOD, PATH, HOST, REQUEST_ID, FORWARDED_FOR, DYNO, PROTOCOL, TLS_VERSION, USER_AGENT,
    CLIENT_IP, ROUTER_TEXTS
};
enum { CONNECT_MS, SERVICE_MS, STATUS, BYTES, ROUTER_NUMBERS };

/* In the order in which the router writes them. */
enum {
    K_AT, K_CODE, K_DESC, K_METHOD, K_PATH, K_HOST, K_REQUEST_ID, K_FWD, K_DYNO, K_CONNECT, K_SERVICE, K_STATUS,
    K_BYTES, K_PROTOCOL, K_TLS, K_TLS_VERSION, K_SOCK, K_AGENT, ROUTER_KEYS_COUNT
};
static const Key ROUTER_KEYS[] = {
    KEY("at"), KEY("code"), KEY("desc"), KEY("method"), KEY("path"), KEY("host"), KEY("request_id"), KEY("fwd"),
    KEY("dyno"), KEY("connect"), KEY("service"), KEY("status"), KEY("bytes"), KEY("protocol"), KEY("tls"),
    KEY("tls_version"), KEY("sock"), KEY("agent"),
};
static const Octet ROUTER_FOLLOWING[ROUTER_KEYS_COUNT] = {[K_PATH] = K_HOST, [K_FWD] = K_DYNO};
static const Octet ROUTER_TEXT_KEYS[] = {
    K_AT, K_CODE, K_DESC, K_METHOD, K_PATH, K_HOST, K_REQUEST_ID, K_FWD, K_DYNO, K_PROTOCOL, K_TLS_VERSION, K_AGENT,
};
static const struct {
    Octet key;
    bool is_ms;
    int64_t largest;
} ROUTER_NUMBER_KEYS[] = {
    {K_CONNECT, true, INT32_MAX}, {K_SERVICE, true, INT32_MAX}, {K_STATUS, false, INT16_MAX}, {K_BYTES, false, INT64_MAX},
};

/* `extra` holds at most one of these; lines with two are for the general way. */
enum { NO_EXTRA, TLS_TRUE, TLS_FALSE, SOCK_CLIENT, SOCK_BACKEND, EXTRAS };
static const char *const EXTRA_TEXTS[EXTRAS] = {
    "", "{\"tls\":\"true\"}", "{\"tls\":\"false\"}", "{\"sock\":\"client\"}", "{\"sock\":\"backend\"}",
};

/* The number of a constant, or -1. */
static int router_extra(Value tls, Value sock) {
    int found = NO_EXTRA;
    if (tls.begin) {
        if (equals(tls.begin, tls.end, "true", 4)) found = TLS_TRUE;
        else if (equals(tls.begin, tls.end, "false", 5)) found = TLS_FALSE;
        else return -1;
    }
    if (sock.begin) {
        if (found) return -1;
        if (equals(sock.begin, sock.end, "client", 6)) found = SOCK_CLIENT;
        else if (equals(sock.begin, sock.end, "backend", 7)) found = SOCK_BACKEND;
        else return -1;
    }
    return found;
}

/* The last address: the one the router saw itself; all before it is the client's word. */
static Value last_address(Value forwarded_for) {
    const Octet *begin = forwarded_for.end, *end = forwarded_for.end;
    while (begin > forwarded_for.begin && begin[-1] != ',') begin--;
    while (begin < end && *begin == ' ') begin++;
    while (begin < end && end[-1] == ' ') end--;
    return (Value){begin, end};
}

/* Read a message into the next row; whether it could be. */
static bool read_router(const Octet *text, const Octet *at, const Octet *end, Rows *rows) {
    Value values[ROUTER_KEYS_COUNT];
    if (!read_pairs(at, end, ROUTER_KEYS, ROUTER_FOLLOWING, ROUTER_KEYS_COUNT, values)) return false;
    int extra = router_extra(values[K_TLS], values[K_SOCK]);
    if (extra < 0 || !is_ascii(values[K_FWD].begin, values[K_FWD].end)) return false;
    int64_t row = rows->count;
    for (int i = 0; i < ROUTER_NUMBERS; i++) {
        Value value = values[ROUTER_NUMBER_KEYS[i].key];
        if (ROUTER_NUMBER_KEYS[i].is_ms && value.end - value.begin > 2 && !memcmp(value.end - 2, "ms", 2)) value.end -= 2;
        int64_t number = has_value(value) ? whole(value.begin, value.end) : NULL_NUMBER;
        if (number == -1 || number > ROUTER_NUMBER_KEYS[i].largest) return false;
        rows->numbers[i][row] = number;
    }
    for (int i = 0; i < CLIENT_IP; i++) rows->texts[i][row] = span(text, values[ROUTER_TEXT_KEYS[i]]);
    rows->texts[CLIENT_IP][row] = span(text, last_address(values[K_FWD]));
    rows->choices[0][row] = (Octet)extra;
    return true;
}

#endif
