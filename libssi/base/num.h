/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Numbers from text, whole and checked: no leading or trailing blanks, no sign where none is meant, no overflow.
 * All return 0, -EINVAL (not a number, or a wrong unit) or -ERANGE. */
#include <stddef.h>
#include <stdint.h>

int ssi_num_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
int ssi_num_u32(const char *s, uint32_t min, uint32_t max, uint32_t *ret);
/* "500ms", "3s", "2m", "1h"; a bare number is seconds. Result in milliseconds. */
int ssi_num_duration_ms(const char *s, uint64_t *ret_ms);
/* "512M", "2G", "64K", "100" (bytes); powers of 1024 with an optional "iB". */
int ssi_num_size(const char *s, uint64_t *ret_bytes);
/* "yes/true/on/1", "no/false/off/0": 1 or 0, or -EINVAL. */
int ssi_num_bool(const char *s);
/* A size for people: "1.5 GiB". buf of at least 16 bytes; returns buf. */
char *ssi_num_format_size(char *buf, size_t n, uint64_t bytes);
/* A duration for people: "820 ms", "3.4 s", "2 m 05 s", "3 d 4 h". buf of at least 24 bytes; returns buf. */
char *ssi_num_format_ms(char *buf, size_t n, uint64_t ms);
/* What makes a word plural after a number: "" for 1, "s" for all others. */
static inline const char *ssi_num_plural(uint64_t n) { return n == 1 ? "" : "s"; }
