/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Files of /proc for the system as a whole: the local text with the nodes' values added. Each takes the local file's text, "" if there is none. */
#include "libssi/base/buf.h"
#include "ssi/view/snapshot.h"

void merge_stat(const struct snapshot *s, const char *local, struct ssi_buf *b);
void merge_cpuinfo(const struct snapshot *s, const char *local, struct ssi_buf *b);
void merge_meminfo(const struct snapshot *s, const char *local, struct ssi_buf *b);
void merge_loadavg(const struct snapshot *s, const char *local, struct ssi_buf *b);
void merge_uptime(const struct snapshot *s, const char *local, struct ssi_buf *b);
void merge_diskstats(const struct snapshot *s, const char *local, struct ssi_buf *b);   /* a node's disk is "n01.sda" */
void merge_netdev(const struct snapshot *s, const char *local, struct ssi_buf *b);      /* a node's interface is "n01.eth0" */
void merge_vmstat(const struct snapshot *s, const char *local, struct ssi_buf *b);
