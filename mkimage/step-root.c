/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The root file system: the tree as erofs, and its dm-verity tree. UUIDs and salt come from the digest of the inputs, not from chance, so
 * that the same inputs give the same bytes; the salt needs only to differ between images.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "mkimage/build.h"
#include "mkimage/result.h"
#include "mkimage/tree.h"

/* A version 8 UUID (RFC 9562) from the digest of the inputs. */
static void make_uuid(const char *hex, char ret[37])
{
	snprintf(ret, 37, "%.8s-%.4s-8%.3s-8%.3s-%.12s", hex, hex + 8, hex + 12, hex + 15, hex + 18);
}

int step_root(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	_cleanup_free_ char *image = ssi_path_join(b->result.path, "root.erofs");
	char uuid[37], epoch[48];
	struct stat st;
	int r;

	if (!image)
		return ssi_errno(e, -ENOMEM, "root");
	make_uuid(b->plan->root, uuid);
	snprintf(epoch, sizeof(epoch), "SOURCE_DATE_EPOCH=%lld", (long long)b->epoch);
	b->progress.watch = image;
	r = build_tool(b, (char *[]){ (char *)"mkfs.erofs", (char *)"-zlz4hc,9", (char *)"-U", uuid, (char *)"--quiet", image, b->tree, NULL },
		       (char *[]){ epoch, NULL }, -1, "root", e);
	b->progress.watch = NULL;
	if (r < 0)
		return r;
	if (chmod(image, 0444) < 0 || stat(image, &st) < 0)
		return ssi_errno(e, -errno, "%s", image);
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

/* The line "Root hash: HEX" of veritysetup. */
static int read_root_hash(const char *path, char ret[SSI_HASH_HEX], struct ssi_err *e)
{
	_cleanup_free_ char *text = NULL;
	char *p;
	int r = ssi_file_read(path, 65536, &text, NULL);

	if (r < 0)
		return ssi_errno(e, r, "%s", path);
	p = strstr(text, "Root hash:");
	if (!p || sscanf(p + 10, " %64[0-9a-f]", ret) != 1 || strlen(ret) != 64)
		return ssi_errf(e, -EBADMSG, "veritysetup told no root hash");
	return 0;
}

static int make_verity(struct build *b, const char *image, const char *verity, char hash[SSI_HASH_HEX], struct ssi_err *e)
{
	_cleanup_free_ char *said = ssi_path_join(b->work.path, "veritysetup.out");
	_cleanup_close_ int out = said ? open(said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	char uuid[37], salt[80];
	int r;

	if (out < 0)
		return ssi_errno(e, -errno, "verity");
	make_uuid(b->plan->root, uuid);
	snprintf(salt, sizeof(salt), "--salt=%s", b->plan->root);
	r = build_tool(b, (char *[]){ (char *)"veritysetup", (char *)"format", (char *)"--hash=sha256", salt, (char *)"--uuid", uuid,
		       (char *)image, (char *)verity, NULL }, (char *[]){ (char *)"LC_ALL=C", NULL }, out, "verity", e);
	return r < 0 ? r : read_root_hash(said, hash, e);
}

static json_t *json_packages(const struct list *packages)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < packages->n; i++) {
		const char *text = packages->words[i].text;
		int n = (int)strcspn(text, " ");

		json_array_append_new(a, json_pack("{s:s%, s:s}", "name", text, (size_t)n, "version", text + n + 1));
	}
	return a;
}

int step_verity(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	static const char *const files[] = { "root.erofs", "root.verity", NULL };
	_cleanup_free_ char *image = ssi_path_join(b->result.path, "root.erofs"), *verity = ssi_path_join(b->result.path, "root.verity");
	_cleanup_list_ struct list packages = { 0 };
	char hash[SSI_HASH_HEX];
	json_t *result;
	struct stat st;
	int r = image && verity ? make_verity(b, image, verity, hash, e) : ssi_errno(e, -ENOMEM, "verity");

	if (r == 0)
		r = tree_packages(b->tree, &packages, e);
	if (r < 0)
		return r;
	if (chmod(verity, 0444) < 0 || stat(verity, &st) < 0)
		return ssi_errno(e, -errno, "%s", verity);
	*ret_size = (uint64_t)st.st_size;
	result = json_pack("{s:s, s:o, s:{s:s, s:s}}", "kernel", b->kernel, "packages", json_packages(&packages),
			   "verity", "root_hash", hash, "salt", b->plan->root);
	r = result ? result_commit(b->cache, RESULT_ROOT, b->plan->root, b->refresh, &b->result, result, files, e) : ssi_errno(e, -ENOMEM, "verity");
	json_decref(result);
	return r;
}
