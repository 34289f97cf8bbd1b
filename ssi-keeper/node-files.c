/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node-files unpack | node-files pack FOLDER: a tar stream from standard input into the working directory, or FOLDER (relative to it) as one to standard output. Started by
 * ssi-keeper as the job's user in the job's own folder. A program of its own, so that keepers do not carry libarchive. Exit status 0; or 1, and a line that says why.
 */
#include <stdio.h>
#include <string.h>
#include "ssi/rexec/files.h"

int main(int argc, char **argv)
{
	struct ssi_err e;
	int r;

	if (argc == 3 && !strcmp(argv[1], "pack"))
		r = ssi_files_pack(argv[2], 1, &e);
	else if (argc >= 2 && !strcmp(argv[1], "unpack"))
		r = ssi_files_unpack(0, &e);
	else
		r = ssi_errf(&e, -1, "usage: node-files unpack | node-files pack FOLDER");
	if (r < 0)
		fprintf(stderr, "%s\n", e.text);
	return r < 0;
}
