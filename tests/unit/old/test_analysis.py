import pytest

import OLD.analysis
import OLD.image_processing


@pytest.mark.parametrize("name", ["load_image", "compute_indices", "generate_heatmap", "classify_index"])
def test_analysis_offers_the_same_functions(name):
    assert getattr(OLD.analysis, name) is getattr(OLD.image_processing, name)
    assert name in OLD.analysis.__all__
