/* Which tables are made here, and of what: the columns of ingest/schema.py in their order. */

#ifndef DRAINLAKE_TABLES_H
#define DRAINLAKE_TABLES_H

#include "access.h"
#include "arrow.h"
#include "php.h"
#include "router.h"
#include "samples.h"

enum { ROUTER_TABLE, ACCESS_TABLE, PHP_TABLE, SAMPLES_TABLE, LINES_TABLE, TABLES };
enum { L_PROCESS, L_MESSAGE, LINES_TEXTS };

static const char *const HEROKU[] = {"heroku"}, *const PHP_ITSELF[] = {"php"};

static const Column ROUTER_COLUMNS[] = {
    {TIME},
    {APP},
    {CONSTANT, 0, HEROKU},
    {TEXT, LEVEL},
    {TEXT, CODE},
    {TEXT, DESCRIPTION},
    {TEXT, METHOD},
    {TEXT, HOST},
    {TEXT, PATH},
    {NOTHING},
    {TEXT, REQUEST_ID},
    {TEXT, CLIENT_IP},
    {TEXT, FORWARDED_FOR},
    {TEXT, DYNO},
    {INT32, CONNECT_MS},
    {INT32, SERVICE_MS},
    {INT16, STATUS},
    {INT64, BYTES},
    {TEXT, PROTOCOL},
    {TEXT, TLS_VERSION},
    {TEXT, USER_AGENT},
    {CHOICE, 0, EXTRA_TEXTS},
    {FRAME},
};
static const Column ACCESS_COLUMNS[] = {
    {TIME},
    {APP},
    {TEXT, A_DYNO},
    {INT64, A_LOGGED_AT},
    {TEXT, A_CLIENT_IP},
    {TEXT, A_METHOD},
    {TEXT, A_PATH},
    {NOTHING},
    {TEXT, A_PROTOCOL},
    {INT16, A_STATUS},
    {INT64, A_BYTES},
    {TEXT, A_REFERRER},
    {TEXT, A_USER_AGENT},
    {TEXT, A_REQUEST_ID},
    {INT32, A_REQUEST_MS},
    {INT32, A_UPSTREAM_MS},
    {TEXT, A_CONTENT_TYPE},
    {TEXT, A_CONTENT_ENCODING},
    {TEXT, A_ACCEPT_ENCODING},
    {DOUBLE, A_GZIP_RATIO},
    {FRAME},
};
static const Column PHP_COLUMNS[] = {
    {TIME},
    {APP},
    {TEXT, P_DYNO},
    {CONSTANT, 0, PHP_ITSELF},
    {TEXT, P_LEVEL},
    {TEXT, P_MESSAGE},
    {TEXT, P_FILE},
    {INT32, P_LINE},
    {INT64, P_MEMORY_LIMIT},
    {INT64, P_MEMORY_WANTED},
    {NOTHING},
    {NOTHING},
    {NOTHING},
    {NOTHING},
    {NULLS},
    {NOTHING},
    {NOTHING},
    {NOTHING},
    {FRAME},
    {FALSE},
};
static const Column SAMPLES_COLUMNS[] = {
    {TIME},
    {APP},
    {TEXT, S_SOURCE},
    {CHOICE, S_KIND, KINDS},
    {METRIC, S_METRIC},
    {DOUBLE, S_VALUE},
    {CHOICE, S_UNIT, UNITS},
    {FRAME},
};
static const Column LINES_COLUMNS[] = {{TIME},    {APP},  {TEXT, L_PROCESS}, {TEXT_OR_EMPTY, L_MESSAGE},
                                       {NOTHING}, {FRAME}};

#define COLUMNS(columns) columns, (int)(sizeof columns / sizeof *columns)
static const struct {
    const Column *columns;
    int width, texts, numbers;
} SHAPES[TABLES] = {
    [ROUTER_TABLE] = {COLUMNS(ROUTER_COLUMNS), ROUTER_TEXTS, ROUTER_NUMBERS},
    [ACCESS_TABLE] = {COLUMNS(ACCESS_COLUMNS), ACCESS_TEXTS, ACCESS_NUMBERS},
    [PHP_TABLE] = {COLUMNS(PHP_COLUMNS), PHP_TEXTS, PHP_NUMBERS},
    [SAMPLES_TABLE] = {COLUMNS(SAMPLES_COLUMNS), SAMPLES_TEXTS, SAMPLES_NUMBERS},
    [LINES_TABLE] = {COLUMNS(LINES_COLUMNS), LINES_TEXTS, 0},
};

#endif
