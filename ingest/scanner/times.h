/* Timestamps as microseconds since 1970, UTC. A time that is no time is refused, as in ingest/times.py. */

#ifndef DRAINLAKE_TIMES_H
#define DRAINLAKE_TIMES_H

#include "text.h"

enum { STAMP_BYTES = 32, CLF_BYTES = 26 };

#define NO_TIME INT64_MIN

/* Digits at a place as a number; -1 if one is none. */
static inline int digits(const Octet *at, int count) {
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (!is_digit(at[i])) return -1;
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

static inline bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/* Howard Hinnant's days_from_civil, for the years 1 to 9999. */
static inline int64_t days_since_1970(int year, int month, int day) {
    int y = month <= 2 ? year - 1 : year;
    int era = y / 400, of_era = y - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static inline int64_t civil_us(int year, int month, int day, int hour, int minute, int second) {
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1 || month < 1 || month > 12 || day < 1) return NO_TIME;
    if (day > DAYS[month - 1] + (month == 2 && is_leap(year))) return NO_TIME;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return NO_TIME;
    return (((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000000;
}

/* `YYYY-MM-DDTHH:MM:SS.ffffff+00:00`, which Logplex writes; any other form is for the general way. */
static inline int64_t stamp_us(const Octet *at) {
    if (at[4] != '-' || at[7] != '-' || at[10] != 'T' || at[13] != ':' || at[16] != ':' || at[19] != '.') return NO_TIME;
    if (memcmp(at + 26, "+00:00", 6)) return NO_TIME;
    int fraction = digits(at + 20, 6);
    int64_t second_us = civil_us(
        digits(at, 4), digits(at + 5, 2), digits(at + 8, 2), digits(at + 11, 2), digits(at + 14, 2), digits(at + 17, 2)
    );
    return fraction < 0 || second_us == NO_TIME ? NO_TIME : second_us + fraction;
}

static inline int month_of(const Octet *at) {
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int month = 0; month < 12; month++)
        if (!memcmp(at, MONTHS + 3 * month, 3)) return month + 1;
    return 0;
}

/* `dd/Mon/yyyy:HH:MM:SS +hhmm`. Years 1 and 9999 are for the general way: an offset could leave what can be stored. */
static inline int64_t clf_us(const Octet *at) {
    if (at[2] != '/' || at[6] != '/' || at[11] != ':' || at[14] != ':' || at[17] != ':' || at[20] != ' ') return NO_TIME;
    int year = digits(at + 7, 4), zone_hours = digits(at + 22, 2), zone_minutes = digits(at + 24, 2);
    if (year < 2 || year > 9998 || (at[21] != '+' && at[21] != '-')) return NO_TIME;
    if (zone_hours < 0 || zone_hours > 23 || zone_minutes < 0 || zone_minutes > 59) return NO_TIME;
    int64_t local_us = civil_us(
        year, month_of(at + 3), digits(at, 2), digits(at + 12, 2), digits(at + 15, 2), digits(at + 18, 2)
    );
    if (local_us == NO_TIME) return NO_TIME;
    int64_t offset_us = (int64_t)(zone_hours * 60 + zone_minutes) * 60000000;
    return at[21] == '-' ? local_us + offset_us : local_us - offset_us;
}

#endif
