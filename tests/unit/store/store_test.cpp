// Publishing, records, and what a killed or powerless machine may leave.
#include "store/store.hpp"

#include "store/build_folder.hpp"
#include "support/temp_dir.hpp"
#include "sys/process.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

using namespace orch;
using model::ArtifactKind;
using test::TempDir;

namespace {

hash::Digest key_of(std::string_view text) {
  return hash::digest_of(text);
}

model::ArtifactRef publish_text(const store::Store& store, std::string_view text) {
  const auto staging = store.stage();
  REQUIRE(staging);
  const std::string path = staging->path() + "/data";
  REQUIRE(sys::write_atomic(path, text));
  const auto artifact = store.publish(ArtifactKind::file, path);
  REQUIRE(artifact);
  return *artifact;
}

model::ArtifactRef publish_tree(const store::Store& store) {
  const auto staging = store.stage();
  REQUIRE(staging);
  const std::string path = staging->path() + "/tree";
  REQUIRE(sys::make_dirs(path + "/usr/bin"));
  REQUIRE(sys::write_atomic(path + "/usr/bin/x", "program", sys::Sync::no, 0755));
  REQUIRE(::symlink("usr/bin", (path + "/bin").c_str()) == 0);
  const auto artifact = store.publish(ArtifactKind::tree, path);
  REQUIRE(artifact);
  return *artifact;
}

store::Record record_of(std::string_view key, const model::ArtifactRef& artifact) {
  store::Record record;
  record.key = key_of(key);
  record.rule = "rule";
  record.outputs = {{"out", artifact}};
  record.boot_id = sys::boot_id();
  return record;
}

}  // namespace

TEST_SUITE("store") {
  TEST_CASE("a published file is read-only, has a manifest, and its digest is that of its bytes") {
    const TempDir temp;
    const store::Store store(temp.path() + "/store");
    REQUIRE(store.prepare());
    const model::ArtifactRef artifact = publish_text(store, "hello");
    CHECK(artifact.digest == hash::digest_of("hello"));
    CHECK(store.has(artifact));
    CHECK(sys::read_file(store.data_path(artifact)) == "hello");
    CHECK((sys::stat_file(store.data_path(artifact))->st_mode & 0777) == 0444);
    CHECK(store.sha256(artifact) == hash::sha256_of("hello").hex());
    CHECK(publish_text(store, "hello") == artifact);
    CHECK(sys::list_dir(store.root() + "/tmp")->empty());
  }

  TEST_CASE("a tree keeps its modes in the listing and loses the write bits on disk") {
    const TempDir temp;
    const store::Store store(temp.path() + "/store");
    REQUIRE(store.prepare());
    const model::ArtifactRef artifact = publish_tree(store);
    CHECK((sys::stat_file(store.data_path(artifact) + "/usr/bin/x")->st_mode & 0777) == 0555);
    CHECK((sys::stat_file(store.data_path(artifact) + "/usr")->st_mode & 0700) == 0700);
    const auto sound = store.verify(artifact);
    REQUIRE(sound);
    CHECK(*sound);
    CHECK(sys::remove_tree(store.root()));
  }

  TEST_CASE("a record is found again, and torn or empty ones are misses") {
    const TempDir temp;
    const store::Store store(temp.path() + "/store");
    REQUIRE(store.prepare());
    const model::ArtifactRef artifact = publish_text(store, "x");
    REQUIRE(store.write_record(record_of("k", artifact)));
    CHECK(store.lookup(key_of("k"), store::Repair::yes)->outcome == store::Lookup::hit);
    CHECK(store.lookup(key_of("other"), store::Repair::yes)->outcome == store::Lookup::absent);
    const std::string path =
        store.root() + "/ac/" + key_of("k").hex().substr(0, 2) + "/" + key_of("k").hex() + ".json";
    const std::string text = *sys::read_file(path);
    for (std::size_t cut = 0; cut < text.size() - 2; cut += 7) {
      REQUIRE(sys::write_atomic(path, text.substr(0, cut)));
      CHECK(store.lookup(key_of("k"), store::Repair::yes)->outcome == store::Lookup::torn_record);
    }
  }

  TEST_CASE("a record whose artifact is gone is a miss") {
    const TempDir temp;
    const store::Store store(temp.path() + "/store");
    REQUIRE(store.prepare());
    const model::ArtifactRef artifact = publish_text(store, "x");
    REQUIRE(store.write_record(record_of("k", artifact)));
    REQUIRE(sys::remove_tree(sys::parent_path(store.data_path(artifact))));
    CHECK(store.lookup(key_of("k"), store::Repair::yes)->outcome == store::Lookup::artifact_missing);
  }

  TEST_CASE("what another boot left unsynced is verified before use, and set aside if torn") {
    const TempDir temp;
    const store::Store store(temp.path() + "/store");
    REQUIRE(store.prepare());
    const model::ArtifactRef whole = publish_text(store, "whole");
    store::Record record = record_of("k", whole);
    record.boot_id = "another boot";
    REQUIRE(store.write_record(record));
    CHECK(store.lookup(key_of("k"), store::Repair::yes)->outcome == store::Lookup::hit);
    const model::ArtifactRef torn = publish_text(store, "torn by power loss");
    record = record_of("t", torn);
    record.boot_id = "another boot";
    REQUIRE(store.write_record(record));
    REQUIRE(::chmod(store.data_path(torn).c_str(), 0600) == 0);
    REQUIRE(::truncate(store.data_path(torn).c_str(), 3) == 0);
    CHECK(store.lookup(key_of("t"), store::Repair::yes)->outcome == store::Lookup::artifact_corrupt);
    CHECK_FALSE(store.has(torn));
    CHECK(sys::list_dir(store.root() + "/corrupt")->size() == 1);
  }

  TEST_CASE("sweeping takes what nobody holds and leaves what a running step has") {
    const TempDir temp;
    const store::Store store(temp.path() + "/store");
    REQUIRE(store.prepare());
    const auto held = store.stage();
    REQUIRE(held);
    REQUIRE(sys::make_dirs(store.root() + "/tmp/1-dead/scratch"));
    const auto swept = store.sweep();
    REQUIRE(swept);
    CHECK(*swept == 1);
    CHECK(sys::exists(held->path()));
    CHECK_FALSE(sys::exists(store.root() + "/tmp/1-dead"));
  }

  TEST_CASE("a place that cannot be written is an error with a hint") {
    const TempDir temp;
    REQUIRE(sys::write_atomic(temp.path() + "/file", ""));
    const store::Store store(temp.path() + "/file/store");
    const auto prepared = store.prepare();
    REQUIRE_FALSE(prepared);
    CHECK(prepared.error().hint == "choose a writable place with --cache-dir or XDG_CACHE_HOME");
  }

  TEST_CASE("stamps: torn, foreign and set aside") {
    const TempDir temp;
    const store::BuildFolder folder(temp.path());
    REQUIRE(folder.prepare());
    model::Stamp stamp{"a-1",
                       key_of("k"),
                       {{"out", {ArtifactKind::file, key_of("x")}}},
                       {{"input", "i", "v"}},
                       sys::boot_id()};
    REQUIRE(folder.write_stamp(stamp));
    CHECK(*folder.write_stamp(stamp) == false);
    const auto back = folder.read_stamp("a-1");
    REQUIRE(back.stamp);
    CHECK(back.stamp->outputs == stamp.outputs);
    CHECK(back.stamp->items == stamp.items);
    REQUIRE(sys::write_atomic(folder.stamp_path("b-2"), *sys::read_file(folder.stamp_path("a-1"))));
    CHECK(folder.read_stamp("b-2").state == store::BuildFolder::StampState::torn);
    REQUIRE(folder.set_stamp_aside("a-1"));
    CHECK(folder.read_stamp("a-1").state == store::BuildFolder::StampState::absent);
    CHECK(folder.last_stamp("a-1")->key == stamp.key);
  }
}
