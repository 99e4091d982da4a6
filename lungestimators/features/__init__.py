"""What frozen networks make of images, computed once and kept: BackboneFeatures, the feature store."""
