-- What a log message looks like once everything is masked that differs from one time to the next, so that messages of
-- one kind can be counted as one. The order matters: a mask must not eat what a later one would name better. Hex
-- digits and other ids are masked as numbers are, because some ids happen to be all digits. The text is cut, since its
-- author may be hostile.
CREATE OR REPLACE MACRO message_shape(message_text) AS
  -- A JSON object keeps its keys, other text none of its quoted strings; one that is cut short ends with the text. Two
  -- calls, since a pattern that is not constant would be compiled for each row.
  (
    CASE
      WHEN starts_with(message_text, '{')
        THEN regexp_replace(left(message_text, 2000), '(:\s*)"(?:[^"\\]|\\.)*(?:"|\z)', '\1"…"', 'g')
      ELSE regexp_replace(left(message_text, 2000), '"(?:[^"\\]|\\.)*(?:"|\z)', '"…"', 'g')
    END
  )
    .regexp_replace('\x1b\[[0-9;]*m', '', 'g')  -- colours
    .regexp_replace('(?:\\x[0-9A-F]{2})+', '{bytes}', 'g')  -- how bytes that are no UTF-8 are stored
    .regexp_replace('(^|[^\w''])''[^'']*''', '\1''…''', 'g')  -- but no apostrophe
    .regexp_replace('(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b', '{uuid}', 'g')
    .regexp_replace('\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?Z\b| ?UTC\b|[+-]\d\d:?\d\d\b)?', '{time}', 'g')
    .regexp_replace('\b\d{1,3}(?:\.\d{1,3}){3}\b', '{ip}', 'g')
    .regexp_replace('(?i)\b(?:2[0-9a-f]{3}|f[cde][0-9a-f]{2}):[0-9a-f:]{2,34}', '{ip}', 'g')
    .regexp_replace('\b\d+(?:[.,]\d+)*((?:[kKMG]?B|[kKMG]|[mun]?s)?)\b', '{n}\1', 'g')
    .regexp_replace('(?i)\b(?:0x[0-9a-f]+|[0-9a-f]{7,})\b', '{n}', 'g')
    .regexp_replace('\b[A-Za-z]*\d+[A-Za-z]+\d\w*', '{n}', 'g')
    .regexp_replace('\d+(?:[.,]\d+)*', '{n}', 'g')
    .regexp_replace('\s+', ' ', 'g')
    .trim()
    .left(300);

-- The shape of a message of PHP or nginx: here paths and addresses vary with the request, too.
CREATE OR REPLACE MACRO php_message_shape(told) AS
  message_shape(regexp_replace(told, '(^|[\s(\[=:])([a-z]+:/)?/\w[^\s"'',;:()\[\]]*', '\1/…', 'g'));
