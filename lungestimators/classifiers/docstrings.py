"""What the parameters mean that all four classifiers share: documentation, in one place."""

_TEXT = """\
    image_shape : tuple of int, default=None
        How a flat row of X becomes an image, as :func:`numpy.reshape` reads it, ``-1`` allowed:
        ``(28, 28)``, ``(64, 64, 3)``, ``(1, -1, 1)``. ``None``: X is not flat.
    trainable : {"auto", "head", "last_stage", "all"}, default="auto"
        What ``fit`` trains: the head; the head, then the last stage of the backbone with it; or
        everything (with pre-trained weights the head first). ``"auto"`` is ``"head"`` with
        pre-trained weights and ``"all"`` without.
    feature_cache : {"memory", None} or path, default="memory"
        Where the outputs of frozen layers are kept, so that no image goes through them twice: in
        this process (at most 512 MiB unless :func:`limit_feature_cache` says otherwise), nowhere,
        or in a directory that processes may share. It changes no result.
    epochs : int, default={epochs}
        Passes over the training images. The learning rate falls to zero along a cosine.
    batch_size : int, default=16
        Images a step, at most.
    optimizer : str, default="adam"
        Name of a Keras optimizer.
    learning_rate : float, default=0.001
        Of the first epoch.
    fine_tune_epochs : int, default=10
        Passes of the second stage, with pre-trained weights and ``trainable`` ``"last_stage"`` or
        ``"all"``. The backbone's batch normalisation stays in inference mode.
    fine_tune_learning_rate : float, default=0.0001
        Of the first epoch of the second stage.
    early_stopping : bool, default=False
        Whether to set aside ``validation_fraction`` of the images, stop when the loss on them has
        not fallen for ``n_iter_no_change`` epochs, and go back to the best epoch.
    validation_fraction : float, default=0.1
        Part of the images set aside: shuffled, stratified, and by ``groups`` where given.
    n_iter_no_change : int, default=10
        Epochs without a better validation loss before stopping.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss; classes that a dict leaves out have weight 1.
    augment : bool or keras.layers.Layer, default=False
        ``True``: small random shifts, rotations, zooms and changes of brightness and contrast, no
        flips. A layer is called on images in 0..1. Eight views of each image go through frozen
        layers, one of them an epoch in turn; where everything learns, every epoch makes its own.
    dense_units : int, default=512
        Units of the dense layer of the head.
    dropout : float, default=0.5
        Rate of dropout after that layer.
    on_error : {"raise", "skip"}, default="raise"
        What ``fit`` does with image files that cannot be read. ``"raise"`` looks at all headers
        before anything is trained and names every bad file in one error; ``"skip"`` reads every
        file once beforehand, leaves the bad ones out with one warning and records them in
        ``skipped_``. To predict an unreadable file is always an error.
    callbacks : list of keras.callbacks.Callback or callable, default=None
        Keras callbacks, of which ``fit`` takes copies; ``partial_fit`` takes none. A function
        without arguments that returns such a list is called by every ``fit``: for callbacks that
        cannot be copied, such as ``TqdmCallback``. Each stage is a training to them, as each call
        of ``fit`` is in Keras: epochs count from 0, and ``stop_training`` ends the stage. Their
        model is the part of the network that learns; they may set its weights and its learning
        rate, but not change which layers learn. Hooks of a test or a prediction are not called. On
        JAX, inside an epoch, a callback must ask for ``self.model`` anew to see or set the weights
        of that moment. Callbacks of scikit-learn are set by ``set_callbacks``.
    random_state : int, RandomState instance or None, default=None
        Initial weights, order of the images, dropout, augmentation and validation split. The same
        int gives bitwise the same model.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar with loss, accuracy and time left.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    image_shape_ : tuple of int
        (height, width, channels) of the images seen by ``fit``; height and width are ``None``
        where they were files.
    skipped_ : dict of {str: str}
        The files that were left out with ``on_error="skip"``, and what is wrong with each.
    n_features_in_ : int
        Length of a row, for flat X only.
    history_ : dict of list
        ``loss``, ``accuracy``, ``learning_rate`` and, with early stopping, ``val_loss`` and
        ``val_accuracy`` of each epoch.
    n_iter_ : int
        Epochs that were run.
    callbacks_ : list of keras.callbacks.Callback
        The callbacks that saw the training, without their model. A pickle holds those of them that
        can be pickled; one with an open file or a lock is left out.
    model_ : keras.Model
        Pixels in, as ``fit`` saw them or, after a fit on files, RGB images of ``image_size`` in
        0..1; probabilities out. A copy, built when first asked for."""


def with_shared_parameters(epochs):
    """Fill the parameters and attributes that all classifiers share into a class's docstring."""

    def fill(cls):
        shared = _TEXT.replace("{epochs}", str(epochs))
        cls.__doc__ = cls.__doc__.replace("    {shared}", shared)
        return cls

    return fill
