"""What hosts store: who uses it, what may go, what went, and whether it is whole; on real folders, with fake Docker."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sparkrun_tui.base.disk.files import hold
from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.run.parts import owner
from sparkrun_tui.launch.run.parts.leases import holder_of, lease_of
from sparkrun_tui.launch.services import Services, Workstation
from sparkrun_tui.launch.stores import prune as pruning
from sparkrun_tui.launch.stores import verify as verifying
from sparkrun_tui.launch.stores.look import look
from sparkrun_tui.launch.stores.model import NamedBy, StoresView, User, digest_of
from sparkrun_tui.launch.stores.prune import Item, Kind, offer_images, offer_models, prune
from sparkrun_tui.launch.stores.verify import Verdict, judge, verify_images, verify_models
from sparkrun_tui.remote.docker.types import ContainerInfo, DockerError, ImageListed
from sparkrun_tui.remote.failures import NoDocker
from sparkrun_tui.remote.hub.downloads import HubError
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.ports.models import CacheListing, ModelFile, ModelPlan, ModelRequest
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from tests.launch.fakes import FakeCluster
from tests.launch.fakes.docker import FakeDocker
from tests.support.stored import COMMIT, leave_part, store_model
from tests.support.weights import gguf


class StoredDocker(FakeDocker):
    """A daemon whose containers and images the test gives."""

    def __init__(self, site: Site) -> None:
        self.site = site

    async def containers(self, labels: object = ()) -> list[ContainerInfo]:
        self.site.check()
        return self.site.containers

    async def inspect(self, container: str) -> ContainerInfo | None:
        found = [info for info in self.site.containers if info.id == container]
        return replace(found[0], restart_policy=self.site.restart) if found else None

    async def images(self) -> list[ImageListed]:
        self.site.check()
        return list(self.site.images)

    async def remove_image(self, reference: str) -> None:
        if self.site.refusal:
            raise DockerError(self.site.refusal, status=409)
        self.site.images = [image for image in self.site.images if reference not in image.tags]

    async def registry_digest(self, reference: str) -> str:
        if self.site.registry.startswith("sha256:"):
            return self.site.registry
        raise DockerError(self.site.registry or "no network", status=500)


@dataclass
class Site:
    """One host whose cache is a folder here, and this machine, which has one of its own."""

    hub: Path
    own: Path
    containers: list[ContainerInfo] = field(default_factory=list)
    images: list[ImageListed] = field(default_factory=list)
    restart: str = "no"
    failing: HostError | None = None
    refusal: str = ""
    registry: str = ""
    hub_sizes: Mapping[str, int] | None = None

    def check(self) -> None:
        if self.failing is not None:
            raise self.failing

    @property
    def cluster(self) -> Cluster:
        return Cluster("lab", ("spark-1",), hf_cache=str(self.hub.parent))

    @property
    def services(self) -> Services:
        here = Workstation(LocalTransport("workstation"), StoredDocker(self), str(self.own))
        services = FakeCluster("spark-1").services
        return replace(
            services,
            connector=LocalTransport,
            docker=lambda transport: StoredDocker(self),
            models=self,
            workstation=here,
        )

    async def plan(self, request: ModelRequest, token: object = None) -> ModelPlan:
        if self.hub_sizes is None:
            raise HubError("the Hub cannot be reached", kind="offline")
        files = tuple(ModelFile(name, size) for name, size in self.hub_sizes.items())
        return ModelPlan(request.repo, COMMIT, files)

    async def look(self, *named: NamedBy, here: bool = False) -> StoresView:
        return await look(self.cluster, self.services, named, with_here=here)

    async def prune(self, *items: Item) -> dict[str, tuple[bool | None, str]]:
        report = await prune(items, self.cluster, self.services)
        return {pruned.item.name: (pruned.gone, pruned.why) for pruned in report.items}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "cache/hub").mkdir(parents=True)
    (tmp_path / "own").mkdir()
    return Site(tmp_path / "cache/hub", tmp_path / "own")


def container(state: str = "running", **changes: object) -> ContainerInfo:
    info = ContainerInfo("id1", "box", "acme/vllm:1", state, {}, image_id="sha256:1")
    return replace(info, **changes)


def ours(model: str, **labels: str) -> Mapping[str, str]:
    return {f"{LABEL}{key}": value for key, value in {"launch": "abcd2345", "model": model, **labels}.items()}


def model(name: str = "org/m", size: int = 0) -> Item:
    return Item(Kind.MODEL, "spark-1", name, size)


# What uses it.


@pytest.mark.parametrize(
    ("info", "holds"),
    [
        (container(labels=ours("org/m")), True),
        (container(labels=ours("org/m:Q4_K_M")), True),
        (container(labels=ours("org/other", models="org/other,org/m")), True),
        (container(labels=ours("org/other")), None),
        (container("exited", labels=ours("org/m")), False),
        (container(command="vllm serve org/m --port 1"), True),
        (container(command="vllm serve /x/models--org--m/snapshots/y"), True),
        (container("exited", command="vllm serve org/m"), False),
        (container(command="vllm serve org/unknown", mounts=("CACHE",)), True),
        (container(mounts=("/",)), None),
        (container(mounts=("/srv",)), None),
    ],
)
async def test_containers_use_models_by_label_command_and_mount(
    site: Site, info: ContainerInfo, holds: bool | None
) -> None:
    store_model(site.hub, "org/m")
    mounts = tuple(str(site.hub.parent) if mount == "CACHE" else mount for mount in info.mounts)
    site.containers = [replace(info, mounts=mounts)]
    (found,) = (await site.look()).models
    assert [use.holds for use in found.uses] == ([] if holds is None else [holds])
    stays = offer_models(await site.look(), ["org/m"]).stays
    assert bool(stays) == bool(holds)
    if holds:
        assert "on spark-1" in stays[0].text
    if holds and not info.labels:
        assert "another tool's" in stays[0].why


async def test_a_container_that_names_its_model_uses_no_other(site: Site) -> None:
    store_model(site.hub, "org/m")
    store_model(site.hub, "org/n")
    site.containers = [container(command="vllm serve org/n", mounts=(str(site.hub.parent),))]
    uses = {found.repo: len(found.uses) for found in (await site.look()).models}
    assert uses == {"org/m": 0, "org/n": 1}


async def test_a_launch_that_is_kept_over_a_restart_uses_its_model_while_it_is_down(site: Site) -> None:
    store_model(site.hub, "org/m")
    site.containers = [container("exited", labels=ours("org/m"))]
    site.restart = "unless-stopped"
    (stay,) = offer_models(await site.look(), ["org/m"]).stays
    assert "kept over a restart" in stay.why


async def test_recipes_and_earlier_launches_are_named(site: Site) -> None:
    store_model(site.hub, "org/m")
    now = (await site.look()).models[0].on[0].stored.read
    named = (
        NamedBy(User.RECIPE, "mine", "org/m:Q4", "acme/vllm:1"),
        NamedBy(User.LAUNCH, "abcd2345", "org/m", when=now + 99),
        NamedBy(User.RECIPE, "other", "org/other"),
    )
    site.images = [ImageListed("sha256:1", ("acme/vllm:1",), (), 5), ImageListed("sha256:2", ("x:1",), (), 5)]
    view = await site.look(*named)
    assert [use.text for use in view.models[0].uses] == ["recipe mine", "launch abcd2345"]
    assert view.models[0].used == now + 99
    by_name = {image.name: [use.text for use in image.uses] for image in view.images}
    assert by_name == {"acme/vllm:1": ["recipe mine"], "x:1": []}
    assert [item.name for item in offer_models(view).unused] == []
    assert [item.name for item in offer_images(view).unused] == ["x:1"]


@pytest.mark.parametrize("written", ["vllm", "vllm:latest", "docker.io/library/vllm:latest"])
async def test_a_recipe_names_an_image_as_docker_lists_it(site: Site, written: str) -> None:
    site.images = [ImageListed("sha256:1", ("vllm:latest",), (), 5)]
    view = await site.look(NamedBy(User.RECIPE, "mine", "org/m", written))
    assert [use.name for use in view.images[0].uses] == ["mine"]


# The hosts.


async def test_this_machine_is_a_host_and_one_cache_is_shown_once(site: Site) -> None:
    store_model(site.own, "org/here")
    view = await site.look(here=True)
    assert [host.name for host in view.hosts] == ["spark-1", "workstation"]
    assert [(found.repo, found.on[0].host) for found in view.models] == [("org/here", "workstation")]
    site.own = site.hub
    assert [host.name for host in (await site.look(here=True)).hosts] == ["spark-1"]


async def test_a_host_that_cannot_be_asked_is_shown_and_nothing_is_raised(site: Site) -> None:
    class Silent(LocalTransport):
        async def connect(self) -> None:
            raise HostError("it is off", host="spark-1", remedy="Switch it on.")

        @property
        def link(self) -> LinkStatus:
            return LinkStatus(LinkState.UNREACHABLE, 0.0)

    services = replace(site.services, connector=Silent)
    view = await look(site.cluster, services)
    assert (view.hosts[0].name, view.hosts[0].problem) == ("spark-1", "it is off")
    assert view.silent == ("spark-1",)
    report = await prune([model()], site.cluster, services)
    assert report.unclear and "it is off" in report.text


async def test_without_docker_nothing_uses_a_model_and_with_a_silent_one_that_is_not_known(site: Site) -> None:
    store_model(site.hub, "org/m")
    site.failing = NoDocker("Docker is not installed")
    assert not offer_models(await site.look(), ["org/m"]).stays
    site.failing = NoDocker("Docker is installed but not running", installed=True)
    (stay,) = offer_models(await site.look(), ["org/m"]).stays
    assert "not running" in stay.why
    store_model(site.own, "org/here")
    assert not offer_models(await site.look(here=True), ["org/here"]).stays
    site.failing = HostError("permission denied")
    (stay,) = offer_models(await site.look(), ["org/m"]).stays
    assert "what runs there is not known: permission denied" in stay.why
    assert not offer_models(await site.look()).first


# What may go, and what went.


async def test_unfinished_downloads_are_offered_first_then_what_nothing_names(site: Site) -> None:
    leave_part(store_model(site.hub, "org/m"), size=50_000)
    store_model(site.hub, "org/used")
    leave_part(site.hub / "models--org--half", size=70_000)
    offer = offer_models(await site.look(NamedBy(User.RECIPE, "r", "org/used")))
    assert {(item.kind, item.name) for item in offer.first} == {(Kind.PARTS, "org/m"), (Kind.PARTS, "org/half")}
    assert [(item.kind, item.name) for item in offer.unused] == [(Kind.MODEL, "org/m")]
    sizes = {item.name: item.size for item in offer.first}
    assert 70_000 <= sizes["org/half"] < 80_000
    # What is offered first is not counted again.
    assert offer.unused[0].size < 50_000


async def test_what_went_is_what_is_no_longer_there(site: Site) -> None:
    folder = store_model(site.hub, "org/m")
    part = leave_part(folder)
    offer = offer_models(await site.look())
    assert await site.prune(*offer.first) == {"org/m": (True, "")}
    assert not part.exists() and folder.exists()
    assert await site.prune(*offer.unused) == {"org/m": (True, "")}
    assert not folder.exists()


async def test_what_is_used_since_it_was_shown_stays(site: Site) -> None:
    folder = store_model(site.hub, "org/m")
    items = offer_models(await site.look()).unused
    site.containers = [container(labels=ours("org/m"))]
    ((gone, why),) = (await site.prune(*items)).values()
    assert not gone and "container abcd2345 on spark-1" in why and folder.exists()


async def test_a_host_that_a_launch_prepares_is_left_alone(site: Site) -> None:
    folder = store_model(site.hub, "org/m")
    items = offer_models(await site.look()).unused
    lock = Path(os.environ["HOME"]) / ".cache/sparkrun-tui/lock"
    lock.mkdir(parents=True)
    text = '{"launch": "zzzz2345", "user": "eve@desk"}'
    (lock / "owner.json").write_text(text)
    offer = offer_models(await site.look(), ["org/m"])
    assert "launch zzzz2345 by eve@desk prepares this host, spark-1" in offer.stays[0].why
    ((gone, why),) = (await site.prune(*items)).values()
    assert not gone and "zzzz2345" in why and folder.exists()
    assert (lock / "owner.json").read_text() == text


async def test_a_lease_that_has_expired_keeps_nothing(site: Site) -> None:
    folder = store_model(site.hub, "org/m")
    lock = Path(os.environ["HOME"]) / ".cache/sparkrun-tui/lock"
    lock.mkdir(parents=True)
    (lock / "owner.json").write_text('{"launch": "zzzz2345", "user": "eve@desk"}')
    (lock / "renewed").write_text("1000")
    assert await site.prune(model()) == {"org/m": (True, "")}
    assert not folder.exists() and not lock.exists()


async def test_the_lease_is_held_while_something_goes_and_given_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_model(site.hub, "org/m")
    lock = Path(os.environ["HOME"]) / ".cache/sparkrun-tui/lock/owner.json"
    held: list[bool] = []
    real = pruning.remove

    async def watched(*arguments: object, **more: object) -> Mapping[str, str]:
        held.append(lock.exists())
        return await real(*arguments, **more)

    monkeypatch.setattr(pruning, "remove", watched)
    await site.prune(model())
    assert held == [True] and not lock.exists()


async def test_who_launches_meanwhile_is_shown_that_something_is_being_removed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_model(site.hub, "org/m")
    services = site.services
    said: list[str] = []

    async def launch_meanwhile(*arguments: object, **more: object) -> Mapping[str, str]:
        transport = services.connector("spark-1")
        try:
            async with lease_of(transport, "abcd2345", ""):
                said.append("taken")
        except LaunchError as error:
            said.append(error.what)
        return {}

    monkeypatch.setattr(pruning, "remove", launch_meanwhile)
    await site.prune(model())
    assert len(said) == 1 and "is removing models or images on this host (its lease ends in" in said[0]


async def test_a_download_to_this_machine_keeps_its_model(site: Site) -> None:
    folder = store_model(site.own, "org/m")
    (site.own / ".locks/models--org--m").mkdir(parents=True)
    item = Item(Kind.MODEL, "workstation", "org/m", 1)
    with hold(site.own / ".locks/models--org--m/sparkrun-tui.lock", wait=0):
        assert await site.prune(item) == {"org/m": (False, "it is being downloaded")}
    assert folder.exists()
    assert await site.prune(item) == {"org/m": (True, "")}
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_files_of_others_are_named_before_they_go(site: Site) -> None:
    folder = store_model(site.hub, "org/m")
    os.chown(folder / "blobs/abc00", 1, 1)
    (item,) = offer_models(await site.look(), ["org/m"]).named
    assert "files of daemon" in item.text


async def test_links_stay_with_the_reason(site: Site, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (site.hub / "models--org--m").symlink_to(tmp_path / "elsewhere")
    offer = offer_models(await site.look(), ["org/m"])
    assert "which is not followed" in offer.stays[0].why
    assert not offer_models(await site.look()).unused


async def test_images_that_containers_use_stay_and_refusals_are_shown(site: Site) -> None:
    site.images = [
        ImageListed("sha256:1", ("acme/vllm:1",), (), 7),
        ImageListed("sha256:2", (), (), 3),
        ImageListed("sha256:3", ("a:1", "a:2"), (), 5),
    ]
    site.containers = [container("exited", image="sha256:1")]
    offer = offer_images(await site.look())
    assert [(item.name, item.size) for item in offer.first] == [("2", 3)]
    assert [(item.name, item.size) for item in offer.unused] == [("a:1", 0), ("a:2", 0)]
    (stay,) = offer_images(await site.look(), ["acme/vllm:1"]).stays
    assert "container box on spark-1" in stay.why
    site.containers = []
    site.refusal = "image is being used by stopped container 123"
    (item,) = offer_images(await site.look(), ["acme/vllm:1"]).named
    assert await site.prune(item) == {"acme/vllm:1": (False, site.refusal)}
    site.refusal = ""
    assert await site.prune(item) == {"acme/vllm:1": (True, "")}


# Whether it is whole.


async def verdicts(site: Site) -> dict[str, tuple[Verdict, str]]:
    found = await verify_models(await site.look(), site.cluster, site.services)
    return {checked.name: (checked.verdict, checked.detail) for checked in found}


async def test_whole_models_are_known_without_the_hub(site: Site) -> None:
    store_model(site.hub, "org/m")
    assert await verdicts(site) == {"org/m": (Verdict.WHOLE, "3 files, by their headers")}


async def test_a_cut_file_is_found_by_its_header(site: Site) -> None:
    folder = store_model(site.hub, "org/m")
    os.truncate(folder / f"snapshots/{COMMIT}/model.safetensors", 900)
    assert await verdicts(site) == {"org/m": (Verdict.FAULTY, "not as long as it must be: model.safetensors")}


async def test_a_cut_gguf_is_found_by_its_header(site: Site) -> None:
    folder = store_model(site.hub, "org/m")
    for path in list((folder / "snapshots" / COMMIT).iterdir()):
        path.unlink()
    path = folder / "snapshots" / COMMIT / "m-Q8_0.gguf"
    path.write_bytes(gguf(32 * 1000))
    assert (await verdicts(site))["org/m"][0] is Verdict.WHOLE
    os.truncate(path, 900)
    assert await verdicts(site) == {"org/m": (Verdict.FAULTY, "not as long as it must be: m-Q8_0.gguf")}


async def test_the_hubs_list_shows_what_headers_cannot(site: Site) -> None:
    folder = store_model(site.hub, "org/m")
    real = {name: (folder / "snapshots" / COMMIT / name).stat().st_size for name in ("config.json", "tokenizer.json")}
    site.hub_sizes = {**real, "config.json": 3}
    assert (await verdicts(site))["org/m"] == (Verdict.FAULTY, "not as long as it must be: config.json")
    site.hub_sizes = {**real, "chat_template.jinja": 9}
    assert (await verdicts(site))["org/m"] == (Verdict.FAULTY, "missing: chat_template.jinja")
    leave_part(folder)
    assert (await verdicts(site))["org/m"] == (Verdict.UNFINISHED, "still missing: chat_template.jinja")
    site.hub_sizes = real
    verdict, detail = (await verdicts(site))["org/m"]
    assert verdict is Verdict.WHOLE and "the Hub's list" in detail and "another download" in detail


async def test_only_a_download_that_began_is_unfinished(site: Site) -> None:
    leave_part(site.hub / "models--org--m")
    assert (await verdicts(site))["org/m"][0] is Verdict.UNFINISHED


def test_unknown_stays_unknown() -> None:
    listing = CacheListing(COMMIT, (ModelFile("model.safetensors", 5, True),))
    assert judge(listing, (), {})[0] is Verdict.UNKNOWN
    assert judge(listing, (), {"model.safetensors": 5})[0] is Verdict.WHOLE
    assert judge(listing, (), {}, lost=2)[0] is Verdict.FAULTY


@pytest.mark.parametrize(
    ("registry", "verdict", "words"),
    [
        ("sha256:aa", Verdict.WHOLE, "as the registry has it"),
        ("sha256:bb", Verdict.WHOLE, "newer one under this name"),
        ("unauthorized", Verdict.UNKNOWN, "unauthorized"),
    ],
)
async def test_an_image_is_compared_with_its_registry(site: Site, registry: str, verdict: Verdict, words: str) -> None:
    site.images = [ImageListed("sha256:1", ("acme/vllm:1",), ("acme/vllm@sha256:aa",), 7)]
    site.registry = registry
    (checked,) = await verify_images(await site.look(), site.cluster, site.services)
    assert checked.verdict is verdict and words in checked.detail


async def test_hosts_with_different_images_under_one_name_are_shown(site: Site) -> None:
    site.images = [ImageListed("sha256:1", ("acme/vllm:1",), ("acme/vllm@sha256:aa",), 7)]
    view = await site.look()
    on = view.images[0].on[0]
    built = replace(on.listed, id="sha256:other", digests=("acme/vllm@sha256:cc",))
    other = replace(on, host="spark-2", listed=built)
    image = replace(view.images[0], on=(on, other))
    found = verifying.judge_image(image, "sha256:aa", "")
    assert [(checked.verdict, checked.detail) for checked in found] == [
        (Verdict.FAULTY, "another one than on spark-2"),
        (Verdict.FAULTY, "another one than on spark-1"),
    ]
    assert image.digest == "2 digests"
    # The same image that was streamed to a host, where no digest of a registry is kept.
    streamed = replace(on, host="spark-2", listed=replace(on.listed, digests=()))
    newest = digest_of(on.listed, image.name)
    found = verifying.judge_image(replace(image, on=(on, streamed)), newest, "")
    assert {checked.detail for checked in found} == {"as the registry has it"}
    elsewhere = replace(on, host="spark-2", listed=replace(on.listed, id="sha256:of another store", digests=()))
    found = verifying.judge_image(replace(image, on=(on, elsewhere)), newest, "")
    assert [checked.verdict for checked in found] == [Verdict.WHOLE, Verdict.UNKNOWN]


def test_the_owner_of_a_lease_on_this_machine_that_ended_keeps_nothing() -> None:
    mine = owner.describe("abcd2345")
    assert holder_of(json.dumps(mine).encode(), 5).startswith("launch abcd2345 by ")
    assert holder_of(json.dumps({**mine, "began": "1"}).encode(), 5) == ""
    assert holder_of(b"\xff{", 5) == "launch unknown by somebody prepares this host"
