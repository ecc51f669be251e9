"""Collections, who is asked and indexed, recipes and options."""

from pathlib import Path

import pytest

from searcher.evaluation.collection import Picture, read_collection
from searcher.evaluation.command import plan_of
from searcher.evaluation.evaluator import open_folder
from searcher.evaluation.plan import Method, Options, read_recipe
from searcher.evaluation.task import TaskRules, divide
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.evaluations import pictures

RECIPES = sorted((Path(__file__).parents[2] / "deploy" / "recipes").glob("*.toml"))


def shop() -> list[Picture]:
    return [
        Picture(f"{style}-{view}", Path(f"/none/{style}-{view}.jpg"), {"style": style, "view": view})
        for style in ("s1", "s2", "s3")
        for view in ("main", "back", "alt")
    ]


def test_a_folder_is_a_collection_with_the_folders_as_categories(tmp_path: Path) -> None:
    for name in ("cup/b 1.jpg", "cup/a.png", "hat/c.webp", "d.jpg", "cup/.hidden.jpg", "cup/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = read_collection(str(tmp_path), tmp_path, tmp_path)
    assert [dict(picture.attributes) for picture in found] == [{}, *[{"category": "cup"}] * 2, {"category": "hat"}]
    # An id begins with a digest, and has no space, which ends a field in a TREC file.
    assert [picture.image_id[9:] for picture in found] == ["d.jpg", "cup/a.png", "cup/b%201.jpg", "hat/c.webp"]


def test_a_csv_file_is_a_collection_with_its_columns(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    file = tmp_path / "items.csv"
    file.write_text("path,item_id,colour\na.jpg,i-1,\n")
    (picture,) = read_collection(str(file), tmp_path, tmp_path)
    assert dict(picture.attributes) == {"item_id": "i-1"}
    file.write_text("path\na.jpg\nmissing.jpg\n")
    with pytest.raises(ConfigurationError, match="line 3"):
        read_collection(str(file), tmp_path, tmp_path)
    file.write_text("path\na.jpg\na.jpg\n")
    with pytest.raises(ConfigurationError, match="same id"):
        read_collection(str(file), tmp_path, tmp_path)
    with pytest.raises(ConfigurationError, match="neither a folder"):
        read_collection("flowers", tmp_path, tmp_path)


def test_each_indexed_picture_is_asked_and_left_out_of_its_own_hits() -> None:
    task = divide(shop(), TaskRules("all", ["style"]))
    assert task.leaves_one_out
    assert task.own.tolist() == list(range(9))
    assert task.relevant(4).tolist() == [3, 5]
    assert task.relevant_counts().tolist() == [2] * 9


def test_so_many_queries_are_drawn_as_are_asked_for_and_the_seed_decides_which() -> None:
    drawn = [
        [one.image_id for one in divide(shop(), TaskRules("4", ["style"], seed=seed)).queries] for seed in (1, 1, 2)
    ]
    assert len(drawn[0]) == 4
    assert drawn[0] == drawn[1] != drawn[2]


def test_queries_that_are_held_out_are_drawn_and_not_indexed() -> None:
    task = divide(shop(), TaskRules("held-out:3", ["style"], seed=1))
    assert (len(task.gallery), len(task.queries), task.leaves_one_out) == (6, 3, False)
    assert not {one.image_id for one in task.queries} & {one.image_id for one in task.gallery}


def test_queries_of_a_column_are_not_indexed() -> None:
    task = divide(shop(), TaskRules("view=alt,back", ["style"], gallery="view=main", only="style=s1,s3"))
    assert [picture.image_id for picture in task.gallery] == ["s1-main", "s2-main", "s3-main"]
    assert [picture.image_id for picture in task.queries] == ["s1-back", "s1-alt", "s3-back", "s3-alt"]
    assert not task.leaves_one_out


def test_relevant_is_what_is_equal_in_all_columns_and_empty_is_equal_to_nothing() -> None:
    made = [
        Picture(str(place), Path(f"/none/{place}"), {"style": "s", **more})
        for place, more in enumerate([{"colour": "red"}, {"colour": "red"}, {"colour": "blue"}, {}, {}])
    ]
    task = divide(made, TaskRules("all", ["style", "colour"]))
    assert [picture.image_id for picture in task.queries] == ["0", "1"]
    assert task.relevant(0).tolist() == [1]


def test_a_slice_has_some_of_each_of_few_classes_and_whole_ones_of_many() -> None:
    few = divide(pictures(*["a"] * 50, *["b"] * 50), TaskRules("all", ["category"], limit=20))
    assert [len(few.gallery), *few.relevant_counts()] == [20, *[9] * 20]
    many = divide(pictures(*[f"c{place // 4}" for place in range(400)]), TaskRules("all", ["category"], limit=40))
    assert [len(many.gallery), *many.relevant_counts()] == [40, *[3] * 40]


def test_pictures_that_cannot_be_used_leave_a_task_on_both_sides() -> None:
    task = divide(shop(), TaskRules("all", ["style"])).without({"s1-main", "s1-back", "s2-alt"})
    assert [picture.image_id for picture in task.queries] == ["s2-main", "s2-back", "s3-main", "s3-back", "s3-alt"]
    assert [task.gallery[place].image_id for place in task.own] == [picture.image_id for picture in task.queries]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (TaskRules("all", ["colour"]), "colour"),
        (TaskRules("view=street", ["style"]), "view=street"),
        (TaskRules("street", ["style"]), "split=street"),
        (TaskRules("all", ["style", "view"]), "no query has a relevant"),
    ],
)
def test_a_rule_that_fits_nothing_is_refused(rules: TaskRules, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        divide(shop(), rules)


def test_methods_are_read_as_they_are_written() -> None:
    names = ["float", "float-pca:64", "itq:256", "hyperplanes:64", "learned:64", "tuned:64"]
    assert [Method.parse(name).name for name in names] == names
    assert [Method.parse(name).is_code for name in names] == [False, False, True, True, True, True]


@pytest.mark.parametrize("text", ["float:3", "float-pca", "float-pca:0", "itq", "itq:12", "sift:64", "itq:x", ""])
def test_other_methods_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Method.parse(text)


def test_the_command_line_goes_before_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        '[evaluate]\ndataset = "magento"\nk = 20\n[settings]\nembedder = "classic"\nthreads = 1\n'
        '[[variant]]\nname = "a"\nmethods = "itq:64"\n[variant.settings]\nthreads = 2\n'
        '[[variant]]\nname = "b"\nmethods = "float"\ntrain = "--loss triplet"\n'
    )
    plan = plan_of(Options(k=5, seed=3), recipe, {"embedder": "vgg16"}, Path("data"), None)
    assert (plan.title, plan.dataset, plan.k, plan.rules.seed, plan.rules.relevance) == (
        "mine",
        "magento",
        5,
        3,
        ["style"],
    )
    assert [dict(one.settings) for one in plan.variants] == [
        {"embedder": "vgg16", "threads": "2"},
        {"embedder": "vgg16", "threads": "1"},
    ]
    assert [one.train for one in plan.variants] == [(), ("--loss", "triplet")]
    (only,) = plan_of(
        Options(methods="float,itq:16", variants="b", train="--bits 8"), recipe, {}, Path("data"), None
    ).variants
    assert ([method.name for method in only.methods], only.train) == (["float", "itq:16"], ("--bits", "8"))
    with pytest.raises(ConfigurationError, match="c: no variant"):
        plan_of(Options(variants="a,c"), recipe, {}, Path("data"), None)


@pytest.mark.parametrize(
    "text",
    [
        "[evaluate]\ncolour = 1",
        "[other]",
        "[[variant]]\nmethods = 'float'",
        "[[variant]]\nname='a'\nbits=3",
        "[evaluate",
    ],
)
def test_a_recipe_that_says_what_is_not_known_is_refused(tmp_path: Path, text: str) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text)
    with (
        pytest.raises(ConfigurationError, match=str(recipe.name))
        if "bits" not in text
        else pytest.raises(ConfigurationError)
    ):
        read_recipe(recipe)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_makes_a_plan_of_settings_that_exist(recipe: Path) -> None:
    own, _ = read_recipe(recipe)
    plan = plan_of(Options(dataset=own.dataset or "people"), recipe, {}, Path("data"), None)
    assert plan.title == recipe.stem
    for variant in plan.variants:
        Settings(_env_file=None, **variant.settings)  # type: ignore[arg-type]
        assert set(variant.settings) <= set(Settings.model_fields)


def test_a_folder_of_another_plan_is_refused_and_the_same_plan_goes_on(tmp_path: Path) -> None:
    plan = plan_of(Options(dataset="clothing"), None, {}, Path("data"), tmp_path / "out")
    open_folder(plan)
    open_folder(plan)
    with pytest.raises(ConfigurationError, match="other options"):
        open_folder(plan_of(Options(dataset="clothing", seed=1), None, {}, Path("data"), tmp_path / "out"))


def test_what_to_evaluate_on_must_be_said() -> None:
    with pytest.raises(ConfigurationError, match="--dataset"):
        plan_of(Options(), None, {}, Path("data"), None)
